/** Nowcast itself, started the way a user starts it, on the shared PostgreSQL server. */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Missing } from '../row.ts';
import { answers, freePort, startService } from './process-tree.ts';

const SERVER_BIN = fileURLToPath(new URL('../../../packages/server/bin/nowcast.mjs', import.meta.url));
const START_LIMIT_MS = 20_000;

export interface NowcastSide {
  pid: number;
  port: number;
  /** Empty where the database is embedded. */
  databaseUrl: string;
  /** From spawn to the first 200 of /ready. */
  readyAfterMs: number;
  /** WebSocket of the V8 inspector, when it was asked for. */
  inspectorUrl: string | null;
  output: () => string;
  stop: () => Promise<void>;
}

/** On a given database, or with an embedded PostgreSQL in a given data directory. */
export type Where = { databaseUrl: string } | { dataDir: string };

export async function startNowcast(
  where: Where,
  options: { inspect: boolean; environment?: Record<string, string> },
): Promise<NowcastSide | Missing> {
  if (!existsSync(SERVER_BIN)) return { missing: 'needs packages/server/bin/nowcast.mjs' };
  const folder = mkdtempSync(join(tmpdir(), 'nowcast-bench-server-'));
  const port = await freePort();
  const startedAt = performance.now();
  const args = [...(options.inspect ? ['--inspect=127.0.0.1:0'] : []), SERVER_BIN, 'start'];
  const { DATABASE_URL: _, ...environment } = process.env;
  const service = startService(process.execPath, args, {
    env: {
      ...environment,
      PORT: String(port),
      ...options.environment,
      ...('dataDir' in where
        ? { NOWCAST_DATA_DIR: where.dataDir }
        : { NOWCAST_DATA_DIR: folder, DATABASE_URL: where.databaseUrl }),
    },
  });
  const stop = async () => {
    await service.stop();
    rmSync(folder, { recursive: true, force: true });
  };
  if (!(await answers(`http://127.0.0.1:${port}/ready`, service, START_LIMIT_MS))) {
    await stop();
    throw new Error(`Nowcast was not ready after ${START_LIMIT_MS} ms:\n${service.output()}`);
  }
  return {
    pid: service.pid,
    port,
    databaseUrl: 'databaseUrl' in where ? where.databaseUrl : '',
    readyAfterMs: performance.now() - startedAt,
    inspectorUrl: /ws:\/\/127\.0\.0\.1:\d+\/\S+/.exec(service.output())?.[0] ?? null,
    output: service.output,
    stop,
  };
}
