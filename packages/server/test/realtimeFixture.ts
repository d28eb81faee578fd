/** The realtime door on a real http server with a hand-made catalog, and real clients for it. */
import { once } from 'node:events';
import http from 'node:http';
import {
  createClient,
  type RealtimeChannel,
  type RealtimeClientOptions,
  type SupabaseClient,
} from '@supabase/supabase-js';
import ws from 'ws';
import type { Relation } from '../src/deliver/catalog.ts';
import {
  type Change,
  type RealtimeDeps,
  type RealtimeHub,
  registerRealtime,
} from '../src/deliver/realtime/hub.ts';
import type { Vsn } from '../src/deliver/realtime/wire.ts';
import { reservedPort } from './support/ports.ts';

export interface RealtimeServer {
  readonly url: string;
  readonly port: number;
  readonly hub: RealtimeHub;
  readonly relations: Map<string, Relation>;
  readonly errors: Error[];
  client(options?: { vsn?: Vsn; key?: string }): SupabaseClient;
  raw(options?: { vsn?: Vsn; key?: string; autoPong?: boolean }): Promise<RawClient>;
  /** The server alone, as a deployment does it; its clients stay. */
  stop(): Promise<void>;
  close(): Promise<void>;
}

export async function startRealtime(
  overrides: Partial<RealtimeDeps> = {},
  port?: number,
): Promise<RealtimeServer> {
  const relations = new Map(
    [INFERENCE_LOGS, SYSTEM_ALERTS, HOURLY_VIEW].map((relation) => [relation.name, relation]),
  );
  const errors: Error[] = [];
  const server = http.createServer((_request, response) => response.writeHead(404).end());
  const hub = registerRealtime(server, {
    catalog: { relation: (name) => relations.get(name), refresh: () => Promise.resolve() },
    scopeOf: (key) => (key === 'service' ? 'service' : key === 'anon' ? 'anon' : undefined),
    readableColumns: (scope, relation) =>
      relation.columns.map(({ name }) => name).filter((name) => scope === 'service' || name !== 'user_id'),
    originAllowed: (request) => request.headers.origin !== 'https://evil.example',
    onError: (error) => errors.push(error),
    ...overrides,
  });
  const bound = port ?? (await reservedPort());
  server.listen(bound, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${bound}`;
  const clients: SupabaseClient[] = [];
  const raws: RawClient[] = [];
  const stop = async (): Promise<void> => {
    await hub.close();
    if (!server.listening) return;
    const closed = once(server, 'close');
    server.close();
    server.closeAllConnections();
    await closed;
  };
  return {
    url,
    port: bound,
    hub,
    relations,
    errors,
    client({ vsn = '2.0.0', key = 'service' } = {}) {
      const client = createClient(url, key, {
        auth: { persistSession: false, autoRefreshToken: false },
        realtime: {
          // Node before 22 has no WebSocket of its own.
          transport: ws as unknown as NonNullable<RealtimeClientOptions['transport']>,
          vsn,
          // What its ten seconds would end on a machine that stands still, the test's own timeout ends.
          timeout: 60_000,
          reconnectAfterMs: () => 20,
        },
      });
      clients.push(client);
      return client;
    },
    async raw({ vsn = '2.0.0', key = 'service', autoPong = true } = {}) {
      const socket = new ws(`ws://127.0.0.1:${bound}/realtime/v1/websocket?apikey=${key}&vsn=${vsn}`, {
        autoPong,
      });
      const client = new RawClient(socket, vsn);
      raws.push(client);
      await once(socket, 'open');
      return client;
    },
    stop,
    async close() {
      for (const client of clients) await client.realtime.disconnect();
      for (const raw of raws) raw.socket.terminate();
      await stop();
    },
  };
}

export interface Frame {
  readonly joinRef: string | null;
  readonly ref: string | null;
  readonly topic: string;
  readonly event: string;
  readonly payload: Readonly<Record<string, unknown>> & {
    readonly status?: string;
    readonly response?: Readonly<Record<string, unknown>>;
    readonly ids?: readonly number[];
    readonly data?: Readonly<Record<string, unknown>> & { readonly record?: Record<string, unknown> };
    readonly message?: string;
    readonly missed?: number;
  };
}

/** A socket that speaks the protocol by hand, to send what the real client never would. */
export class RawClient {
  readonly socket: ws;
  readonly frames: Frame[] = [];
  readonly texts: string[] = [];
  readonly #vsn: Vsn;
  readonly #waiting = new Set<() => void>();
  #ref = 0;

  constructor(socket: ws, vsn: Vsn) {
    this.socket = socket;
    this.#vsn = vsn;
    socket.on('message', (data) => {
      this.texts.push(data.toString());
      const parsed = JSON.parse(data.toString());
      this.frames.push(
        vsn === '2.0.0'
          ? { joinRef: parsed[0], ref: parsed[1], topic: parsed[2], event: parsed[3], payload: parsed[4] }
          : { joinRef: parsed.join_ref ?? null, ...parsed },
      );
      for (const check of this.#waiting) check();
    });
  }

  send(topic: string, event: string, payload: object = {}, joinRef: string | null = null): string {
    const ref = String(++this.#ref);
    const joined = event === 'phx_join' ? ref : joinRef;
    this.socket.send(
      JSON.stringify(
        this.#vsn === '2.0.0'
          ? [joined, ref, topic, event, payload]
          : { topic, event, payload, ref, join_ref: joined },
      ),
    );
    return ref;
  }

  /** The first frame, received or still to come, that fits. */
  frame(fits: (frame: Frame) => boolean): Promise<Frame> {
    return new Promise((resolve) => {
      const check = (): void => {
        const found = this.frames.find(fits);
        if (found === undefined) return;
        this.#waiting.delete(check);
        resolve(found);
      };
      this.#waiting.add(check);
      check();
    });
  }

  reply(ref: string): Promise<Frame> {
    return this.frame((frame) => frame.event === 'phx_reply' && frame.ref === ref);
  }

  join(topic: string, items: readonly object[], config: object = {}): Promise<Frame> {
    return this.reply(this.send(topic, 'phx_join', { config: { ...config, postgres_changes: items } }));
  }

  changes(topic?: string): readonly Frame[] {
    return this.frames.filter(
      (frame) => frame.event === 'postgres_changes' && (topic === undefined || frame.topic === topic),
    );
  }
}

/** Resolves when the channel is SUBSCRIBED, rejects with the error that the user would see. */
export function subscribed(channel: RealtimeChannel): Promise<RealtimeChannel> {
  return new Promise((resolve, reject) => {
    channel.subscribe((status, error) => {
      if (status === 'SUBSCRIBED') resolve(channel);
      else if (status === 'CHANNEL_ERROR' || status === 'TIMED_OUT') reject(error ?? new Error(status));
    });
  });
}

/** Collects, and lets a test wait until so many have come. */
export class Inbox<T> {
  readonly items: T[] = [];
  readonly #waiting = new Set<() => void>();

  readonly push = (item: T): void => {
    this.items.push(item);
    for (const check of this.#waiting) check();
  };

  atLeast(count: number): Promise<readonly T[]> {
    return new Promise((resolve) => {
      const check = (): void => {
        if (this.items.length < count) return;
        this.#waiting.delete(check);
        resolve(this.items);
      };
      this.#waiting.add(check);
      check();
    });
  }
}

export function inserted(record: Record<string, unknown>, table = 'inference_logs'): Change {
  return { schema: 'public', table, type: 'INSERT', commitTimestamp: '2026-11-23T14:02:27.123Z', record };
}

export function logRow(id: number, overrides: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    id,
    timestamp: '2026-11-23T14:02:27.123456+00:00',
    model_version: 'v1',
    inference_time_ms: 120.5,
    is_error: false,
    user_id: 'u-1',
    ...overrides,
  };
}

/** Lets the event loop serve sockets until the condition holds. */
export async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setImmediate(resolve));
}

function relation(name: string, kind: Relation['kind'], columns: Record<string, string>): Relation {
  return {
    schema: 'public',
    name,
    kind,
    columns: Object.entries(columns).map(([column, type]) => ({
      name: column,
      type,
      isPrimaryKey:
        kind === 'table' && (column === 'id' || (column === 'timestamp' && name !== 'system_alerts')),
      hasDefault: false,
      nullable: true,
    })),
  };
}

const INFERENCE_LOGS = relation('inference_logs', 'table', {
  id: 'int8',
  timestamp: 'timestamptz',
  model_version: 'text',
  inference_time_ms: 'float8',
  is_error: 'bool',
  user_id: 'text',
});
const SYSTEM_ALERTS = relation('system_alerts', 'table', {
  id: 'int4',
  timestamp: 'timestamptz',
  severity: 'text',
  message: 'text',
  metadata: 'jsonb',
  acknowledged: 'bool',
});
const HOURLY_VIEW = relation('inference_metrics_hourly', 'view', { minute: 'timestamptz' });
