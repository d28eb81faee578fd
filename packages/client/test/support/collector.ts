import http from 'node:http';
import { gunzipSync } from 'node:zlib';
import { reservedPort } from '../../../server/test/support/ports.ts';

/** What a collector does with a request; `cut` takes it in and breaks the connection before the answer. */
export type Behaviour = 'store' | 'cut' | 'reset' | 'hang' | 'fail' | 'garble' | 'refuse' | 'too_large';

interface ReceivedBatch {
  readonly batch_id: string;
  readonly client: string;
  readonly sample_rate?: number;
  readonly dropped?: Record<string, number>;
  readonly events: readonly { readonly [field: string]: unknown }[];
}

export interface Collector {
  readonly url: string;
  readonly requests: number;
  /** By id, each stored once as Nowcast does. */
  readonly batches: ReadonlyMap<string, ReceivedBatch>;
  readonly events: number;
  close(): Promise<void>;
}

const statuses = { store: 200, fail: 500, garble: 200, refuse: 400, too_large: 413 };

/**
 * A loopback HTTP server that behaves as told.
 *
 * @param behave what to do with the request of this number, from 0; `forwardTo` asks a real Nowcast first
 */
export async function startCollector(
  behave: (request: number) => Behaviour,
  { port, forwardTo }: { port?: number; forwardTo?: string } = {},
): Promise<Collector> {
  const batches = new Map<string, ReceivedBatch>();
  let requests = 0;
  const server = http.createServer(async (request, response) => {
    const behaviour = behave(requests++);
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part);
    const sent = Buffer.concat(parts);
    const plain = request.headers['content-encoding'] === 'gzip' ? gunzipSync(sent) : sent;
    const takes = behaviour === 'store' || behaviour === 'cut' || behaviour === 'garble';
    if (takes) {
      const batch: ReceivedBatch = JSON.parse(plain.toString());
      batches.set(batch.batch_id, batch);
    }
    let answer = '{"rejected":0}';
    if (takes && forwardTo !== undefined) {
      const stored = await fetch(forwardTo + request.url, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: plain.toString(),
      });
      answer = await stored.text();
    }
    if (behaviour === 'hang') return;
    if (behaviour === 'cut' || behaviour === 'reset') response.socket?.resetAndDestroy();
    else response.writeHead(statuses[behaviour]).end(behaviour === 'garble' ? '<html>' : answer);
  });
  // One that is still there for whoever comes back to it.
  const listensAt = port ?? (await reservedPort());
  await new Promise<void>((resolve) => server.listen(listensAt, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${listensAt}`,
    get requests() {
      return requests;
    },
    batches,
    get events() {
      return [...batches.values()].reduce((sum, batch) => sum + batch.events.length, 0);
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** An address at which nothing listens. */
export async function deadUrl(): Promise<string> {
  return `http://127.0.0.1:${await reservedPort()}`;
}
