import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { type EmbeddedPostgres, startEmbedded } from '../../src/store/embedded/embedded.ts';
import { migrate } from '../../src/store/migrate.ts';

/** Where the run's PostgreSQL is; `globalSetup.ts` sets it for the workers. */
const URL_VARIABLE = 'TEST_POSTGRES_URL';
/** Why the template could not be migrated: only the tests that need a database fail then. */
const FAILURE_VARIABLE = 'TEST_POSTGRES_FAILURE';
const TEMPLATE = 'nowcast_template';
const maxLooksForClosing = 500;

/** Locks of the session's own database: other test files have theirs on the same server. */
export const ownLocks = `(select l.* from pg_locks l join pg_database d on d.oid = l.database where d.datname = current_database()) own_locks`;

export type TestDatabase = { url: string; drop(): Promise<void> };

/**
 * A fresh, migrated database for one test file: a clone of the run's template.
 *
 * Outside vitest, where no run has started a PostgreSQL, one is started for the database and stopped by `drop()`.
 */
export async function createTestDatabase(): Promise<TestDatabase> {
  const shared = process.env[URL_VARIABLE];
  const failure = process.env[FAILURE_VARIABLE];
  if (failure !== undefined) throw new Error(`the test template could not be migrated: ${failure}`);
  const own = shared === undefined ? await startTestPostgres() : undefined;
  const server = shared ?? own!.url;
  const name = `test_${randomBytes(6).toString('hex')}`;
  await admin(server, `create database ${name} template ${TEMPLATE}`);
  return {
    url: withDatabase(server, name),
    async drop() {
      if (own) await own.stop();
      else await drop(server, name);
    },
  };
}

/** An empty database, not migrated: for tests of migrations. */
export async function createEmptyDatabase(): Promise<TestDatabase> {
  const server = process.env[URL_VARIABLE];
  if (server === undefined) throw new Error('runs under vitest only');
  const name = `test_${randomBytes(6).toString('hex')}`;
  await admin(server, `create database ${name} template template0`);
  return {
    url: withDatabase(server, name),
    drop: () => drop(server, name),
  };
}

/** A PostgreSQL in a temporary directory with the migrated template database; `stop()` removes it. */
async function startTestPostgres(): Promise<{ url: string; stop(): Promise<void> }> {
  const dataDir = await mkdtemp(path.join(os.tmpdir(), 'nowcast-test-'));
  const embedded: EmbeddedPostgres = await startEmbedded({
    dataDir,
    log: { info() {}, warn: (message) => console.warn(message) },
    purpose: 'test',
    // Servers of several test files, and of one that starts twenty.
    maxConnections: 300,
  });
  const stop = async () => {
    await embedded.stop();
    await rm(dataDir, { recursive: true, force: true });
  };
  try {
    await admin(embedded.url, `create database ${TEMPLATE}`);
    await migrate(withDatabase(embedded.url, TEMPLATE));
  } catch (error) {
    process.env[FAILURE_VARIABLE] = error instanceof Error ? error.message : String(error);
  }
  return { url: embedded.url, stop };
}

/** Starts the run's PostgreSQL and tells the workers about it. */
export async function startSharedPostgres(): Promise<() => Promise<void>> {
  const server = await startTestPostgres();
  process.env[URL_VARIABLE] = server.url;
  return server.stop;
}

/** Connections that are just closing have their moment first: PostgreSQL's word that it ended them would be nobody's error. */
async function drop(server: string, name: string): Promise<void> {
  const client = new pg.Client({ connectionString: server });
  await client.connect();
  try {
    for (let looks = 0; looks < maxLooksForClosing; looks += 1) {
      const { rowCount } = await client.query('select from pg_stat_activity where datname = $1', [name]);
      if (rowCount === 0) break;
      await delay(20);
    }
    await client.query(`drop database if exists ${name} with (force)`);
  } finally {
    await client.end();
  }
}

async function admin(url: string, statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}

function withDatabase(url: string, database: string): string {
  const changed = new URL(url);
  changed.pathname = `/${database}`;
  return changed.href;
}
