import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type RestServer, startRest } from './restFixture.ts';

const SETUP = `
create table public.probe (
  id serial primary key,
  name text not null unique,
  amount numeric default 7,
  note text,
  meta jsonb,
  tags text[],
  at timestamptz
);
select nowcast.create_partition('2026-01-05');
`;

let server: RestServer;
beforeAll(async () => {
  server = await startRest(SETUP);
});
afterAll(() => server.close());
beforeEach(async () => {
  await server.pool.query(`
    truncate public.probe restart identity;
    insert into public.probe (name, amount) values ('one', 1), ('two', 2), ('three', 3)`);
});

const table = () => server.service.from('probe');
const names = async () =>
  (await server.pool.query<{ name: string }>('select name from public.probe order by id')).rows.map(
    ({ name }) => name,
  );

describe('insert', () => {
  it('stores one row, with the table’s defaults for what is not given', async () => {
    const { status, data, error } = await table().insert({
      name: 'four',
      meta: { a: [1, 'x'] },
      tags: ['p', 'q'],
    });
    expect({ status, data, error }).toEqual({ status: 201, data: null, error: null });
    const { rows } = await server.pool.query(
      `select amount::text, meta, tags from public.probe where name = 'four'`,
    );
    expect(rows).toEqual([{ amount: '7', meta: { a: [1, 'x'] }, tags: ['p', 'q'] }]);
  });

  it('returns what was stored, as a read would show it', async () => {
    const { status, data } = await table()
      .insert([
        { name: 'four', amount: 4, at: '2026-11-23T14:02:27.1234567Z' },
        { name: 'five', note: 'n' },
      ])
      .select('label:name, amount, note, at')
      .order('name');
    expect(status).toBe(201);
    expect(data).toEqual([
      { label: 'five', amount: null, note: 'n', at: null },
      { label: 'four', amount: 4, note: null, at: '2026-11-23T14:02:27.123457+00:00' },
    ]);
  });

  it('takes the default for a missing key of a bulk insert when asked to', async () => {
    const { data } = await table()
      .insert(
        [
          { name: 'four', amount: null },
          { name: 'five', note: 'n' },
        ],
        { defaultToNull: false },
      )
      .select('name, amount, note');
    expect(data).toEqual([
      { name: 'four', amount: null, note: null },
      { name: 'five', amount: 7, note: 'n' },
    ]);
  });

  it('stores a row of defaults and no rows, when that is what it gets', async () => {
    const none = await table().insert([]).select();
    expect(none).toMatchObject({ status: 201, data: [] });
    const defaults = await table().insert({});
    expect(defaults.error).toMatchObject({ code: '23502' });
  });

  it('keeps every digit of a number', async () => {
    await server.fetch('/rest/v1/probe', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{"name": "pi", "amount": 3.14159265358979323846264338327950288}',
    });
    const { rows } = await server.pool.query(`select amount::text from public.probe where name = 'pi'`);
    expect(rows).toEqual([{ amount: '3.14159265358979323846264338327950288' }]);
  });

  it('stores an event through the article’s table', async () => {
    const { error, data } = await server.service
      .from('inference_logs')
      .insert({
        timestamp: '2026-01-05T10:00:00Z',
        model_version: 'v2',
        inference_time_ms: 12.5,
        metadata: { k: 1 },
      })
      .select('model_version, inference_time_ms, is_error, metadata')
      .single();
    expect(error).toBeNull();
    expect(data).toEqual({
      model_version: 'v2',
      inference_time_ms: 12.5,
      is_error: false,
      metadata: { k: 1 },
    });
  });

  it('counts what it stored', async () => {
    const { count } = await table().insert([{ name: 'a' }, { name: 'b' }], { count: 'exact' });
    expect(count).toBe(2);
  });
});

describe('upsert', () => {
  it('replaces the row with the same key', async () => {
    const { error, data } = await table()
      .upsert({ name: 'two', amount: 22 }, { onConflict: 'name' })
      .select('id, name, amount');
    expect(error).toBeNull();
    expect(data).toEqual([{ id: 2, name: 'two', amount: 22 }]);
  });

  it('leaves it when told to', async () => {
    const { data } = await table()
      .upsert(
        [
          { id: 1, name: 'one', amount: 11 },
          { id: 9, name: 'nine', amount: 9 },
        ],
        { ignoreDuplicates: true },
      )
      .select('name');
    expect(data).toEqual([{ name: 'nine' }]);
    expect((await table().select('amount').eq('id', 1).single()).data).toEqual({ amount: 1 });
  });
});

describe('update', () => {
  it('changes the rows that the filter names', async () => {
    const silent = await table().update({ note: 'seen' }).gte('amount', 2);
    expect(silent).toMatchObject({ status: 204, data: null, error: null });
    const shown = await table()
      .update({ note: 'again', meta: { x: 1 } })
      .eq('name', 'two')
      .select('name, note, meta');
    expect(shown).toMatchObject({ status: 200, data: [{ name: 'two', note: 'again', meta: { x: 1 } }] });
    const { data } = await table().select('note').order('id');
    expect(data).toEqual([{ note: null }, { note: 'again' }, { note: 'seen' }]);
  });

  it('is content with no row', async () => {
    expect(await table().update({ note: 'x' }).eq('id', 99)).toMatchObject({ status: 204, error: null });
    expect(await table().update({ note: 'x' }).eq('id', 99).select()).toMatchObject({
      status: 200,
      data: [],
    });
    expect(await table().update({}).eq('id', 1).select()).toMatchObject({ status: 200, data: [] });
  });

  it('is refused without a filter', async () => {
    const { error, status } = await table().update({ note: 'all' });
    expect(status).toBe(400);
    expect(error).toMatchObject({ code: '21000', message: 'UPDATE requires a WHERE clause' });
    expect((await table().update({ note: 'x' }).gt('id', 0).limit(1)).error).toMatchObject({
      code: 'PGRST127',
    });
  });

  it('is undone when single() gets more than one row, or more are affected than allowed', async () => {
    const single = await table().update({ note: 'x' }).gt('id', 1).select().single();
    expect(single).toMatchObject({ status: 406, error: { code: 'PGRST116' } });
    const bounded = await table().update({ note: 'x' }).gt('id', 1).maxAffected(1);
    expect(bounded).toMatchObject({
      status: 400,
      error: { code: 'PGRST124', details: 'The query affects 2 rows' },
    });
    const { count } = await table().select('*', { count: 'exact', head: true }).not('note', 'is', null);
    expect(count).toBe(0);
  });
});

describe('delete', () => {
  it('removes the rows that the filter names and returns them', async () => {
    const { data, status } = await table()
      .delete()
      .or('name.eq.one,amount.gt.2')
      .select('name')
      .order('name');
    expect(status).toBe(200);
    expect(data).toEqual([{ name: 'one' }, { name: 'three' }]);
    expect(await names()).toEqual(['two']);
  });

  it('is refused without a filter', async () => {
    expect((await table().delete()).error).toMatchObject({
      code: '21000',
      message: 'DELETE requires a WHERE clause',
    });
    expect(await names()).toHaveLength(3);
  });
});

describe('a bad body', () => {
  const post = async (body: string, query = '') => {
    const response = await server.fetch(`/rest/v1/probe${query}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body,
    });
    return { status: response.status, ...((await response.json()) as object) };
  };

  it('is answered with the reason', async () => {
    for (const body of ['', '{', '3', '[1]', 'null', '[{"name":"a"},{"note":"b"}]', '[{},{}]']) {
      expect(await post(body)).toMatchObject({ status: 400, code: 'PGRST102' });
    }
    expect(await post('{"nope": 1}')).toMatchObject({
      status: 400,
      code: 'PGRST204',
      message: "Could not find the 'nope' column of 'probe' in the schema cache",
    });
    expect(await post('{"name": "x", "amount": "many"}')).toMatchObject({ status: 400, code: '22P02' });
    expect(await post('{"name": "one"}')).toMatchObject({ status: 409, code: '23505' });
    expect(await post('{"name": "a\\u0000b"}')).toMatchObject({ status: 400 });
    expect(await post(`{"name": "${'x'.repeat(6_000_000)}"}`)).toMatchObject({ status: 413 });
    expect(await names()).toHaveLength(3);
  });
});
