/**
 * The one PostgreSQL server that all sides share: the embedded one with the settings that users get, new for
 * each run, with a database for each side.
 * Its durability is read back from the server and printed, not assumed.
 */
import { mkdtempSync, rmSync, statfsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startEmbedded } from 'nowcast/dist/store/embedded/embedded.js';
import pg from 'pg';
import { parentOf } from './process-tree.ts';

export interface PostgresSide {
  /** Pid of the postmaster; every backend is its child. */
  pid: number;
  admin: pg.Client;
  description: string;
  /** Creates an empty database and returns its URL. */
  createDatabase: (name: string) => Promise<string>;
  stop: () => Promise<void>;
}

/** Settings without which a comparison of durable writes means nothing. */
const DURABILITY = { fsync: 'on', full_page_writes: 'on', synchronous_commit: 'on' };
const TMPFS_MAGIC = 0x01021994;

export async function startPostgres(): Promise<PostgresSide> {
  const folder = mkdtempSync(join(tmpdir(), 'nowcast-bench-'));
  const log = { info: () => {}, warn: (message: string) => process.stderr.write(`PostgreSQL: ${message}\n`) };
  const server = await startEmbedded({ dataDir: folder, log, purpose: 'bench' });
  const admin = new pg.Client({ connectionString: server.url });
  // Heard of by the query that fails; without a listener it would end the process before anything is cleaned up.
  admin.on('error', () => {});
  await admin.connect();
  const { rows } = await admin.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
  const createDatabase = async (name: string) => {
    await admin.query(`CREATE DATABASE ${name}`);
    const url = new URL(server.url);
    url.pathname = `/${name}`;
    return url.href;
  };
  return {
    pid: parentOf(rows[0]!.pid),
    admin,
    description: `${await describe(admin)}; data on ${onTmpfs(folder) ? 'tmpfs (fsync costs nothing here!)' : folder}`,
    createDatabase,
    stop: async () => {
      await admin.end();
      await server.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function describe(admin: pg.Client): Promise<string> {
  const { rows } = await admin.query<{ name: string; setting: string }>(
    `SELECT name, current_setting(name) AS setting FROM pg_settings
     WHERE name IN ('server_version', 'fsync', 'full_page_writes', 'synchronous_commit',
       'shared_buffers', 'max_wal_size', 'wal_compression', 'autovacuum', 'jit')`,
  );
  const settings = Object.fromEntries(rows.map((row) => [row.name, row.setting]));
  for (const [name, expected] of Object.entries(DURABILITY)) {
    if (settings[name] !== expected) throw new Error(`PostgreSQL runs with ${name} = ${settings[name]}`);
  }
  const { server_version: version, ...others } = settings;
  return `PostgreSQL ${version}; ${Object.entries(others)
    .map(([name, value]) => `${name} ${value}`)
    .join(', ')}`;
}

function onTmpfs(folder: string): boolean {
  return statfsSync(folder).type === TMPFS_MAGIC;
}
