import pg from 'pg';
import { it } from 'vitest';
import { runRead } from '../src/deliver/rest/database.ts';
import { startRest } from './restFixture.ts';

it('bench', async () => {
  const server = await startRest(
    `create table public.probe as select n, 'v'||(n%5) as model_version, now() - n*interval '1 second' as minute, n*1.5 as avg_latency_ms, n as request_count, 0.5::float8 as e from generate_series(1,3000) n; create index on public.probe(minute)`,
  );
  const url = (server.pool.options as { connectionString: string }).connectionString;
  const readPool = new pg.Pool({
    connectionString: url,
    max: 4,
    options: '-c default_transaction_read_only=on -c statement_timeout=5000 -c timezone=UTC',
  });
  const plainPool = new pg.Pool({ connectionString: url, max: 4 });
  const pipePool = new pg.Pool({ connectionString: url, max: 4, pipeline: true });
  const statement = {
    text: `with page as (select t."n", t."model_version", t."minute", t.avg_latency_ms, t.request_count, t.e from public.probe as t order by t."minute" desc limit $1::int8 offset $2::int8) select count(*)::int4 as rows, coalesce(json_agg(p)::text,'[]') as body, null::text as total from page as p`,
    values: [60, 0],
  };
  const plan = { statement, estimate: undefined, prefix: '' };
  const time = async (name: string, run: () => Promise<unknown>, conc = 1, n = 3000) => {
    for (let i = 0; i < 200; i++) await run();
    const t = performance.now();
    let left = n;
    await Promise.all(
      Array.from({ length: conc }, async () => {
        while (left-- > 0) await run();
      }),
    );
    const ms = performance.now() - t;
    console.log(name, 'conc', conc, (ms / n).toFixed(3), 'ms/req', Math.round((n / ms) * 1000), '/s');
  };
  for (let round = 0; round < 2; round++) {
    for (const conc of [1, 4]) {
      await time('dedicated read pool, options', () => readPool.query(statement), conc);
      await time('begin..commit in turn', () => runRead(plainPool, plan), conc);
      await time('begin..commit pipelined', () => runRead(pipePool, plan), conc);
    }
  }
  const path = `${server.url}/rest/v1/probe?select=*&order=minute.desc&limit=60`;
  const get = async (i = '') => {
    const r = await fetch(path + i, { headers: { apikey: 'service-key' } });
    await r.arrayBuffer();
  };
  let k = 0;
  await time('HTTP distinct', () => get(`&n=lt.${5000 + k++}`), 4, 1000);
  await time('HTTP same key x50', () => get(), 50, 3000);
  await readPool.end();
  await plainPool.end();
  await pipePool.end();
  await server.close();
}, 120000);
