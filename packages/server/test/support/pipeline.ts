import pg from 'pg';
import { Intake, type IntakeResult } from '../../src/ingest/intake.ts';
import type { Sampler } from '../../src/ingest/sampling/sampler.ts';
import { type HistogramEdges, loadEdges } from '../../src/process/histogram.ts';
import { readSettings } from '../../src/settings.ts';
import { IdPool } from '../../src/store/idPool.ts';
import { Partitions } from '../../src/store/partitions.ts';
import type { StoredEvent } from '../../src/store/request.ts';
import { Writer } from '../../src/store/writer.ts';
import { WriterConnection } from '../../src/store/writerConnection.ts';
import { createTestDatabase } from './postgres.ts';

export interface Pipeline {
  readonly url: string;
  readonly pool: pg.Pool;
  readonly edges: HistogramEdges;
  readonly partitions: Partitions;
  readonly ids: IdPool;
  readonly writer: Writer;
  readonly connection: WriterConnection;
  readonly take: (events: readonly unknown[]) => Promise<IntakeResult>;
  readonly committed: { token: string; rows: readonly StoredEvent[] }[];
  query<Row extends pg.QueryResultRow>(text: string, values?: unknown[]): Promise<Row[]>;
  close(): Promise<void>;
}

/** Ingest and store on a database of its own, without HTTP. */
export async function startPipeline(
  options: {
    maxPendingBytes?: number;
    url?: string;
    sampler?: Pick<Sampler, 'weigh'>;
    /** The clock by which requests wait. */
    nowMs?: () => number;
  } = {},
): Promise<Pipeline> {
  const database = options.url === undefined ? await createTestDatabase() : undefined;
  const url = options.url ?? database!.url;
  const pool = new pg.Pool({ connectionString: url, max: 5 });
  pool.on('error', () => undefined);
  const edges = await loadEdges(pool);
  const partitions = new Partitions(pool);
  const ids = new IdPool(pool);
  const committed: Pipeline['committed'] = [];
  const connection = new WriterConnection(url);
  const writer = new Writer({
    connection,
    partitions,
    edges,
    maxPendingBytes: options.maxPendingBytes ?? 64 * 1024 * 1024,
    onCommitted: (token, rows) => committed.push({ token, rows }),
    announce: async () => void (await pool.query('notify nowcast_feed')),
    nowMs: options.nowMs,
  });
  const ledger = {
    count: () => undefined,
    countBatch: async () => undefined,
    countedWithRows: () => undefined,
  };
  const intake = new Intake({
    writer,
    ids,
    partitions,
    hotDays: 30,
    ledger,
    limits: readSettings({}),
    sampler: options.sampler,
  });
  await partitions.ensureAround(Date.now() * 1000, 3);
  return {
    url,
    pool,
    edges,
    partitions,
    ids,
    writer,
    connection,
    committed,
    take: (events) => intake.take(events, { sender: 'test' }),
    query: async (text, values) => (await pool.query(text, values)).rows,
    async close() {
      await writer.close();
      await pool.end();
      await database?.drop();
    },
  };
}
