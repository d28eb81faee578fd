import pg from 'pg';
import { readSettings, type Settings } from '../settings.ts';
import { checkGivenDatabase } from '../store/givenDatabase.ts';
import { migrate } from '../store/migrate.ts';
import { withDatabase } from './database.ts';

/** Runs `use` on the database that the settings name, brought to this version first. */
export async function withMigratedPool<Result>(
  purpose: string,
  use: (pool: pg.Pool, settings: Settings, url: string) => Promise<Result>,
): Promise<Result> {
  const settings = readSettings(process.env);
  if (settings.databaseUrl !== undefined) await checkGivenDatabase(settings.databaseUrl);
  return await withDatabase(settings, purpose, async (url) => {
    await migrate(url);
    const pool = new pg.Pool({
      connectionString: url,
      application_name: `nowcast ${purpose}`,
      max: 3,
      onConnect: async (client) => {
        await client.query(`set timezone = 'UTC'`);
      },
    });
    // A connection that breaks while idle is replaced at the next use, which reports what is wrong.
    pool.on('error', () => undefined);
    try {
      return await use(pool, settings, url);
    } finally {
      await pool.end();
    }
  });
}
