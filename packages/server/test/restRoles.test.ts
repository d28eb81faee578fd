/** The second wall of the REST door: what its roles may do in SQL, whatever its parser lets through. */
import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadCatalog } from '../src/deliver/catalog.ts';
import { publish, type Scope } from '../src/deliver/published.ts';
import { loadRoles, setRole } from '../src/deliver/rest/roles.ts';
import { migrate } from '../src/store/migrate.ts';
import { event } from './support/events.ts';
import { createEmptyDatabase } from './support/postgres.ts';
import { startTestServer, type TestServer } from './support/server.ts';

let server: TestServer;
let pool: pg.Pool;
const roles = {} as Record<Scope, string>;
beforeAll(async () => {
  server = await startTestServer({ NOWCAST_ANON_KEY: 'read', NOWCAST_SERVICE_KEY: 'all' });
  pool = new pg.Pool({ connectionString: server.databaseUrl, max: 2 });
  Object.assign(roles, await loadRoles(pool, pino({ level: 'silent' })));
  const personal = { user_id: 'alice', metadata: { a: 1 }, error_message: 'of alice' };
  await server.post('/telemetry/inference', { ...event(), ...personal }, { apikey: 'all' });
});
afterAll(async () => {
  await pool.end();
  await server.close();
});

/** Runs the statement as a hole in the parser would let through: any one, under the role. */
async function as(scope: Scope, text: string): Promise<Record<string, unknown>[]> {
  const client = await pool.connect();
  try {
    await client.query(`begin; ${setRole(roles[scope])}`);
    return (await client.query(text)).rows;
  } finally {
    await client.query('rollback');
    client.release();
  }
}

const denied = { code: '42501' };

describe.each(['anon', 'service'] as const)('under the role of a key of scope %s', (scope) => {
  test('every published relation and function can be read, and of relations no other column', async () => {
    const catalog = await loadCatalog(pool);
    const publication = publish();
    const wrong: string[] = [];
    for (const name of publication.relationNames(scope)) {
      const relation = catalog.relation(name);
      if (relation === undefined) continue;
      const readable = publication.readableColumns(scope, relation).map((column) => column.name);
      const list = readable.map((column) => `"${column}"`).join(', ');
      await as(scope, `select ${list} from public."${name}" limit 1`).catch((error: Error) =>
        wrong.push(`${name}: ${error.message}`),
      );
      for (const { name: column } of relation.columns) {
        if (readable.includes(column)) continue;
        await as(scope, `select "${column}" from public."${name}" limit 1`).then(
          () => wrong.push(`${name}.${column} can be read`),
          () => undefined,
        );
      }
    }
    for (const name of publication.functionNames(scope)) {
      const callable = catalog
        .function(name)
        .some(({ arguments: all }) => all.every((one) => one.hasDefault));
      if (!callable) continue;
      await as(scope, `select * from public."${name}"()`).catch((error: Error) =>
        wrong.push(`${name}(): ${error.message}`),
      );
    }
    expect(wrong, 'see packages/server/sql/api/zz_roles.sql').toEqual([]);
  });

  test.each([
    `insert into public.inference_logs (model_version, inference_time_ms) values ('forged', 1)`,
    'update public.system_alerts set acknowledged = true',
    'delete from public.metrics_pulse',
    'truncate public.inference_logs',
    'drop table public.daily_metrics_summary',
    'create table public.mine (a integer)',
    'create table nowcast.mine (a integer)',
    `select hash from nowcast.keys`,
    'select answer from nowcast.batches',
    'select changes from nowcast.feed',
    `insert into nowcast.keys (hash, prefix, scope) values (sha256('mine'), 'mine', 'service')`,
    'select nowcast.prune()',
    `select pg_read_file('/etc/passwd')`,
    `copy public.system_alerts to program 'cat'`,
    `select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'nowcast writer'`,
    'alter role current_user superuser',
  ])('%s is refused', async (text) => {
    await expect(as(scope, text)).rejects.toMatchObject(denied);
  });
});

test('the columns that may be personal are closed to the role of anon keys and open to that of service keys', async () => {
  for (const column of ['user_id', 'metadata', 'error_message', '*']) {
    await expect(as('anon', `select ${column} from public.inference_logs`)).rejects.toMatchObject(denied);
  }
  await expect(as('anon', 'select to_jsonb(l) from public.inference_logs l')).rejects.toMatchObject(denied);
  const [partition] = await as(
    'service',
    `select format('%s', inhrelid::regclass) as name from pg_inherits
     where inhparent = 'public.inference_logs'::regclass limit 1`,
  );
  await expect(as('anon', `select user_id from ${partition!.name}`)).rejects.toMatchObject(denied);
  expect(await as('service', 'select user_id from public.inference_logs')).toEqual([{ user_id: 'alice' }]);
});

test.each([
  ['anon', 'read'],
  ['service', 'all'],
] as const)('the REST door reads under that of %s', async (scope, apikey) => {
  const { rows } = await pool.query<{ columns: string }>(
    `select string_agg(case attname when 'model_version' then '(current_user::text collate "default") as model_version'
        else format('null::%s as %I', format_type(atttypid, null), attname) end, ', ' order by attnum) as columns
     from pg_attribute where attrelid = 'public.inference_metrics_hourly'::regclass and attnum > 0`,
  );
  await pool.query(`create or replace view public.inference_metrics_hourly as select ${rows[0]!.columns}`);
  const { body } = await server.get('/rest/v1/inference_metrics_hourly?select=model_version', { apikey });
  expect(body).toEqual([{ model_version: roles[scope] }]);
});

test('an owner who may not make roles gets a server that says so and works', async () => {
  const database = await createEmptyDatabase();
  const owner = `plain_${randomBytes(4).toString('hex')}`;
  const admin = new pg.Pool({ connectionString: database.url, max: 1 });
  const name = new URL(database.url).pathname.slice(1);
  await admin.query(
    `create role ${owner} login password 'x'; alter database ${name} owner to ${owner}; alter schema public owner to ${owner}`,
  );
  const url = new URL(database.url);
  url.username = owner;
  url.password = 'x';
  const plain = new pg.Pool({ connectionString: url.href, max: 1 });
  try {
    await migrate(url.href);
    const warnings: string[] = [];
    const warn = (_fields: object, message: string) => warnings.push(message);
    expect(await loadRoles(plain, { warn } as never)).toBeUndefined();
    expect(warnings).toEqual([expect.stringContaining('give the owner CREATEROLE')]);

    await admin.query(`alter role ${owner} createrole`);
    await plain.query(`delete from nowcast.migrations where name = 'interface'`);
    await migrate(url.href);
    expect(await loadRoles(plain, { warn } as never)).toEqual({
      anon: `nowcast_anon_of_${owner}`,
      service: `nowcast_service_of_${owner}`,
    });
  } finally {
    await plain.end();
    await admin.end();
    await database.drop();
  }
});
