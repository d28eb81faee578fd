/**
 * Changes and gaps as frames. Each piece is made once: the row's JSON per projection, the frame per
 * channel wish (topic, matched ids, protocol version), whoever receives it.
 */
import type { Route } from './audience.ts';
import type { Change } from './change.ts';
import type { Row } from './filter-match.ts';
import type { Projection } from './subscription.ts';
import { TEXT, webSocketFrame } from './websocket-frame.ts';
import { encodeTail, encodeText, type Vsn } from './wire.ts';

export class EncodedChange {
  readonly #change: Change;
  readonly #data = new Map<string, Buffer>();
  readonly #frames = new Map<string, readonly Buffer[]>();

  constructor(change: Change) {
    this.#change = change;
  }

  /** The frames this change means for a channel: none, one, or one per distinct `select`. */
  framesFor(route: Route): readonly Buffer[] {
    let frames = this.#frames.get(route.key);
    if (frames === undefined) {
      frames = this.#encode(route);
      this.#frames.set(route.key, frames);
    }
    return frames;
  }

  #encode(route: Route): readonly Buffer[] {
    const { type } = this.#change;
    // A DELETE has only the old row, with as much of it as the feed knows.
    const row = (type === 'DELETE' ? this.#change.oldRecord : this.#change.record) ?? {};
    const matched = new Map<Projection, number[]>();
    for (const binding of route.bindings) {
      if (binding.event !== '*' && binding.event !== type) continue;
      if (!binding.matches(row)) continue;
      const ids = matched.get(binding.projection);
      if (ids === undefined) matched.set(binding.projection, [binding.id]);
      else ids.push(binding.id);
    }
    if (matched.size === 0) return NONE;
    // Projections are objects of their subscription: equal ones are joined into one frame by their key.
    const byKey = new Map<string, { readonly projection: Projection; readonly ids: number[] }>();
    for (const [projection, ids] of matched) {
      const same = byKey.get(projection.key);
      if (same === undefined) byKey.set(projection.key, { projection, ids });
      else same.ids.push(...ids);
    }
    return [...byKey.values()].map(({ projection, ids }) =>
      webSocketFrame(TEXT, [
        route.head,
        Buffer.from(`{"ids":[${ids.join(',')}],"data":`),
        this.#dataFor(projection),
        TAILS[route.vsn],
      ]),
    );
  }

  #dataFor(projection: Projection): Buffer {
    let data = this.#data.get(projection.key);
    if (data === undefined) {
      data = Buffer.from(encodeData(this.#change, projection));
      this.#data.set(projection.key, data);
    }
    return data;
  }
}

/** A visible `system` error on every channel of the table. */
export function gapFrame(route: Route, table: string, missed: number | null, reason: string): Buffer {
  const count =
    missed === null ? 'an unknown number of changes' : `${missed} change${missed === 1 ? '' : 's'}`;
  return systemErrorFrame(route.vsn, route.topic, 'postgres_changes', {
    message: `Missed ${count} of ${table}: ${reason}`,
    table,
    missed,
  });
}

/** A client that read too slowly hears how much of which channel was dropped. */
export function overflowFrame(vsn: Vsn, topic: string, missed: number): Buffer {
  const known = Number.isFinite(missed);
  const count = known ? `${missed} message${missed === 1 ? '' : 's'}` : 'an unknown number of messages';
  return systemErrorFrame(vsn, topic, 'system', {
    message: `Missed ${count} of this channel: this client reads more slowly than they arrive`,
    missed: known ? missed : null,
  });
}

/** As Supabase: a row whose JSON is larger is announced without its large fields. */
const MAX_RECORD_BYTES = 1024 * 1024;
const MAX_FIELD_BYTES_OF_LARGE_RECORD = 64;

const NONE: readonly Buffer[] = [];
const TAILS: Readonly<Record<Vsn, Buffer>> = {
  '1.0.0': Buffer.from(`}${encodeTail('1.0.0')}`),
  '2.0.0': Buffer.from(`}${encodeTail('2.0.0')}`),
};

function encodeData(change: Change, projection: Projection): string {
  const { type, record, oldRecord } = change;
  const fields = [
    `"schema":${JSON.stringify(change.schema)}`,
    `"table":${JSON.stringify(change.table)}`,
    `"type":"${type}"`,
    `"commit_timestamp":${JSON.stringify(change.commitTimestamp)}`,
    `"columns":${projection.columnsJson}`,
  ];
  let tooLarge = false;
  const add = (name: string, row: Row, columns: readonly string[]): void => {
    const [json, cut] = encodeRow(row, columns);
    fields.push(`"${name}":${json}`);
    tooLarge ||= cut;
  };
  if (type !== 'DELETE') add('record', record ?? {}, projection.names);
  if (type === 'UPDATE') add('old_record', oldRecord ?? record ?? {}, projection.primaryKey);
  if (type === 'DELETE') add('old_record', oldRecord ?? {}, projection.names);
  fields.push(tooLarge ? '"errors":["Error 413: Payload Too Large"]' : '"errors":null');
  return `{${fields.join(',')}}`;
}

function encodeRow(row: Row, columns: readonly string[]): readonly [json: string, cut: boolean] {
  const picked: Record<string, unknown> = {};
  for (const name of columns) {
    const value = row[name];
    if (value === undefined) continue;
    // JSON.stringify refuses a bigint, and clients parse an int8 to a number either way.
    picked[name] = typeof value === 'bigint' ? Number(value) : value;
  }
  const json = JSON.stringify(picked);
  // UTF-8 has at most three bytes for a UTF-16 unit: only a row that may be too large is measured.
  if (json.length * 3 <= MAX_RECORD_BYTES || Buffer.byteLength(json) <= MAX_RECORD_BYTES)
    return [json, false];
  for (const name of Object.keys(picked)) {
    const bytes = Buffer.byteLength(JSON.stringify(picked[name]) ?? '');
    if (bytes > MAX_FIELD_BYTES_OF_LARGE_RECORD) delete picked[name];
  }
  return [JSON.stringify(picked), true];
}

function systemErrorFrame(
  vsn: Vsn,
  topic: string,
  extension: 'system' | 'postgres_changes',
  payload: object,
): Buffer {
  const message = {
    joinRef: null,
    ref: null,
    topic,
    event: 'system',
    payload: { extension, status: 'error', ...payload, channel: channelName(topic) },
  };
  return webSocketFrame(TEXT, [Buffer.from(encodeText(vsn, message))]);
}

export const TOPIC_PREFIX = 'realtime:';

export function channelName(topic: string): string {
  return topic.slice(TOPIC_PREFIX.length);
}
