import pg from 'pg';
import type { Logger } from 'pino';
import type { Settings } from '../settings.ts';
import { startEmbedded } from './embedded/embedded.ts';
import { checkGivenDatabase } from './givenDatabase.ts';
import { migrate } from './migrate.ts';

/** A migrated PostgreSQL, the embedded one or a given one, and the pool that everything but the writer shares. */
export interface Store {
  readonly url: string;
  readonly pool: pg.Pool;
  close(): Promise<void>;
}

/** The feed listens on a connection of its own, which counts as one of the pool. */
const connectionsBesidePool = 1;

/** @throws StartupError with one sentence for everything a person can change */
export async function openStore(settings: Settings, log: Logger): Promise<Store> {
  const embedded =
    settings.databaseUrl === undefined
      ? await startEmbedded({
          dataDir: settings.dataDir,
          log: { info: (message) => log.info(message), warn: (message) => log.warn(message) },
        })
      : undefined;
  try {
    const url = embedded?.url ?? settings.databaseUrl!;
    if (embedded === undefined) await checkGivenDatabase(url);
    await migrate(url);
    const pool = new pg.Pool({
      connectionString: url,
      application_name: 'nowcast',
      max: Math.max(1, settings.dbPoolMax - connectionsBesidePool),
      keepAlive: true,
      connectionTimeoutMillis: 5_000,
      idleTimeoutMillis: 60_000,
      pipeline: true,
    });
    // A connection that breaks while idle is replaced at the next use, which reports what is wrong.
    pool.on('error', (error) => {
      // PostgreSQL says goodbye to connections that are just being closed.
      if (!pool.ending) log.warn({ err: error }, 'an idle database connection broke');
    });
    pool.on('connect', (client) => {
      // While it is in use, the query in flight reports the same error; without a listener it would end the process.
      client.on('error', () => undefined);
      client
        .query(`set timezone = 'UTC'`)
        .catch((error: unknown) => log.warn({ err: error }, 'setting the time zone'));
    });
    return {
      url,
      pool,
      async close() {
        await pool.end();
        await embedded?.stop();
      },
    };
  } catch (error) {
    await embedded?.stop();
    throw error;
  }
}
