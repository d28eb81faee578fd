import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type RestServer, startRest } from './restFixture.ts';

const SETUP = `
create function public.probe_rows(lowest int default 1, names text[] default '{}')
  returns table (n int, label text, meta jsonb) language sql stable as
  $$ select g, coalesce(names[g], 'n' || g), jsonb_build_object('half', g / 2.0) from generate_series(lowest, 5) g $$;
create function public.probe_add(a int, b numeric default 0.5) returns numeric language sql immutable as $$ select a + b $$;
create function public.probe_words(text) returns text language sql as $$ select $1 $$;
create function public.probe_list() returns setof text language sql as $$ values ('x'), (null), ('z') $$;
create function public.probe_one(out a int, out b text) language sql as $$ select 1, 'b' $$;
create function public.probe_nothing() returns void language sql as $$ select $$;
create function public.probe_json(value jsonb) returns jsonb language sql as $$ select value $$;
create function public.probe_null() returns int language sql as $$ select null::int $$;
create function public.probe_same(a int) returns int language sql as $$ select a $$;
create function public.probe_same(a text) returns text language sql as $$ select a $$;
create table public.probe_written (a int);
create function public.probe_writes() returns void language sql as $$ insert into public.probe_written values (1) $$;
create function public.probe_slow() returns text language sql as
  $$ select current_setting('statement_timeout') || ' ' || current_setting('transaction_read_only') $$;
create function public.probe_logs() returns setof public.probe_written language sql as $$ values (7), (8) $$;
`;

let server: RestServer;
beforeAll(async () => {
  server = await startRest(SETUP);
});
afterAll(() => server.close());

describe('a function of rows', () => {
  it('is read like a table: with filters, order, window, columns and count', async () => {
    const { data, error, count } = await server.service
      .rpc('probe_rows', { lowest: 2 }, { count: 'exact' })
      .select('n, half:meta->half')
      .gt('n', 2)
      .order('n', { ascending: false })
      .limit(2);
    expect(error).toBeNull();
    expect(data).toEqual([
      { n: 5, half: 2.5 },
      { n: 4, half: 2 },
    ]);
    expect(count).toBe(3);
  });

  it('takes its arguments from the URL as well, arrays included', async () => {
    const { data, error } = await server.anon
      .rpc('probe_rows', { lowest: 1, names: ['a', 'b'] }, { get: true })
      .lt('n', 3)
      .select('label');
    expect(error).toBeNull();
    expect(data).toEqual([{ label: 'a' }, { label: 'b' }]);
  });

  it('is what metrics() is, arguments of every type included', async () => {
    const { error } = await server.anon.rpc('metrics', {
      since: '2026-01-05T00:00:00Z',
      until: '2026-01-05T01:00:00Z',
      step: '5 minutes',
      model_version: null,
    });
    expect(error).toBeNull();
  });

  it('may return the rows of a table', async () => {
    expect((await server.service.rpc('probe_logs')).data).toEqual([{ a: 7 }, { a: 8 }]);
  });

  it('answers HEAD with the count alone', async () => {
    const { count, data } = await server.service.rpc('probe_rows', {}, { head: true, count: 'exact' });
    expect({ count, data }).toEqual({ count: 5, data: null });
  });
});

describe('a function of one value', () => {
  it('answers the bare value', async () => {
    expect((await server.service.rpc('probe_add', { a: 1 })).data).toBe(1.5);
    expect((await server.service.rpc('probe_add', { a: 1, b: 2.25 }, { get: true })).data).toBe(3.25);
    expect((await server.service.rpc('probe_null')).data).toBeNull();
    expect((await server.service.rpc('probe_json', { value: 'text' })).data).toBe('text');
    expect((await server.service.rpc('probe_json', { value: [1, { a: null }] })).data).toEqual([
      1,
      { a: null },
    ]);
    expect((await server.service.rpc('probe_one')).data).toEqual({ a: 1, b: 'b' });
    expect((await server.service.rpc('probe_list')).data).toEqual(['x', null, 'z']);
    expect((await server.service.rpc('probe_list').range(1, 5)).data).toEqual([null, 'z']);
  });

  it('answers 204 when it returns nothing', async () => {
    expect(await server.service.rpc('probe_nothing')).toMatchObject({ status: 204, data: null, error: null });
  });
});

describe('a call that cannot be made', () => {
  it('says which function was looked for', async () => {
    const missing = await server.service.rpc('probe_nope', { a: 1, b: 2 });
    expect(missing.status).toBe(404);
    expect(missing.error).toMatchObject({
      code: 'PGRST202',
      message: 'Could not find the function public.probe_nope(a, b) in the schema cache',
    });
    const wrong = await server.service.rpc('probe_add', { x: 1 });
    expect(wrong.error).toMatchObject({
      code: 'PGRST202',
      hint: 'Perhaps you meant to call the function public.probe_add(a, b)',
    });
    expect((await server.service.rpc('metrcs')).error).toMatchObject({
      hint: 'Perhaps you meant to call the function public.metrics',
    });
    expect((await server.service.rpc('pg_sleep', { '': 1 })).status).toBe(404);
  });

  it('says which overloads are in question', async () => {
    const { error, status } = await server.service.rpc('probe_same', { a: 1 });
    expect(status).toBe(300);
    expect(error).toMatchObject({ code: 'PGRST203' });
  });

  it('names the bad argument, body or method', async () => {
    expect((await server.service.rpc('probe_add', { a: 'one' })).error).toMatchObject({ code: '22P02' });
    const post = (method: string, body: string) => server.fetch('/rest/v1/rpc/probe_add', { method, body });
    expect(await (await post('POST', '[1]')).json()).toMatchObject({ code: 'PGRST102' });
    expect(await (await post('POST', '{')).json()).toMatchObject({ code: 'PGRST102' });
    const patch = await post('PATCH', '{}');
    expect(patch.status).toBe(405);
    expect(await patch.json()).toMatchObject({
      code: 'PGRST101',
      message: 'Cannot use the PATCH method on RPC',
    });
  });
});

it('runs every call read-only and with a time limit, by POST too', async () => {
  expect((await server.service.rpc('probe_slow')).data).toBe('5s on');
  for (const get of [true, false]) {
    const { error, status } = await server.service.rpc('probe_writes', {}, { get });
    expect(status).toBe(405);
    expect(error).toMatchObject({ code: '25006' });
  }
  expect((await server.pool.query('select from public.probe_written')).rowCount).toBe(0);
});

it('works the same on a pool that does not pipeline', async () => {
  const plain = await startRest(SETUP, { pipeline: false });
  try {
    expect((await plain.service.rpc('probe_slow')).data).toBe('5s on');
    expect((await plain.service.rpc('probe_writes')).error).toMatchObject({ code: '25006' });
    expect((await plain.service.rpc('probe_rows', {}, { count: 'estimated' })).count).toBe(5);
    expect(plain.pool.idleCount).toBe(plain.pool.totalCount);
  } finally {
    await plain.close();
  }
});
