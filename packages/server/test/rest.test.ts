import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadCatalog } from '../src/deliver/catalog.ts';
import { type RestServer, startRest } from './restFixture.ts';

const SETUP = `
create table public.probe (
  id int primary key,
  name text,
  amount numeric,
  score float8,
  big int8,
  at timestamptz,
  day date,
  flag boolean,
  tags text[],
  meta jsonb,
  span int4range,
  document tsvector generated always as (to_tsvector('english', coalesce(name, ''))) stored
);
insert into public.probe (id, name, amount, score, big, at, day, flag, tags, meta, span) values
  (1, 'alpha', 12.340, 0.5, 9007199254740993, '2026-11-23 14:02:27.123456+00', '2026-11-23', true, '{a,b}', '{"k": 1, "list": [10, 20], "deep": {"x": "y"}}', '[1,5)'),
  (2, 'beta, "the" (second)', 2, 'NaN', 2, '2026-11-23 14:02:27.1+00', '2026-11-24', false, '{b,c}', '{"k": 2, "list": [30]}', '[5,9)'),
  (3, null, null, null, 3, null, null, null, null, null, null),
  (4, 'running dogs', -1, 3, 4, '2026-11-25 00:00:00+02', '2026-11-25', true, '{}', '{"k": "text"}', '[20,30)');
create table public.probe_many (n int primary key);
insert into public.probe_many select generate_series(1, 1500);
analyze public.probe_many;
`;

let server: RestServer;
beforeAll(async () => {
  server = await startRest(SETUP);
});
afterAll(() => server.close());

const ids = async (query: PromiseLike<{ data: unknown; error: unknown }>): Promise<number[]> => {
  const { data, error } = await query;
  expect(error).toBeNull();
  return (data as { id: number }[]).map(({ id }) => id);
};
const probe = (columns = 'id') => server.service.from('probe').select(columns).order('id');

describe('the article’s component', () => {
  it('loads the last sixty minutes of metrics, newest first', async () => {
    const { data, error, status } = await server.anon
      .from('inference_metrics_hourly')
      .select('*')
      .order('minute', { ascending: false })
      .limit(60);
    expect(error).toBeNull();
    expect(status).toBe(200);
    expect(data).toEqual([]);
  });

  it('loads the alerts that nobody has acknowledged', async () => {
    await server.pool.query(`
      insert into system_alerts (timestamp, severity, alert_type, message, acknowledged)
      values ('2026-01-01', 'warning', 'high_latency', 'older', false),
             ('2026-01-02', 'critical', 'error_rate', 'newer', false),
             ('2026-01-03', 'warning', 'no_data', 'done', true)`);
    const { data, error } = await server.anon
      .from('system_alerts')
      .select('*')
      .eq('acknowledged', false)
      .order('timestamp', { ascending: false });
    expect(error).toBeNull();
    expect(data?.map(({ message }) => message)).toEqual(['newer', 'older']);
    expect(data?.[0]).toMatchObject({ severity: 'critical', timestamp: '2026-01-02T00:00:00+00:00' });
  });
});

describe('select', () => {
  it('encodes every type as PostgreSQL does, in UTC and with all digits', async () => {
    const response = await server.fetch('/rest/v1/probe?id=in.(1,2)&order=id');
    expect(response.headers.get('content-type')).toBe('application/json; charset=utf-8');
    const text = await response.text();
    expect(text).toContain('"amount":12.340');
    expect(text).toContain('"big":9007199254740993');
    expect(text).toContain('"at":"2026-11-23T14:02:27.123456+00:00"');
    expect(text).toContain('"at":"2026-11-23T14:02:27.1+00:00"');
    expect(text).toContain('"score":"NaN"');
    expect(text).toContain('"tags":["a","b"]');
    expect(text).toContain('"span":"[1,5)"');
  });

  it('returns the columns asked for, under their names or aliases, cast and out of JSON', async () => {
    const { data, error } = await server.service
      .from('probe')
      .select('id, label:name, big::text, meta->k, meta->list->0, second:meta->list->1, meta->deep->>x')
      .eq('id', 1)
      .single();
    expect(error).toBeNull();
    expect(data).toEqual({
      id: 1,
      label: 'alpha',
      big: '9007199254740993',
      k: 1,
      list: 10,
      second: 20,
      x: 'y',
    });
  });

  it('returns rows without columns when none is selected', async () => {
    expect(await (await server.fetch('/rest/v1/probe?select=&id=lt.3')).json()).toEqual([{}, {}]);
  });

  it('keeps an alias a name, whatever is in it', async () => {
    const alias = `a'); drop table probe; --"b`;
    const select = encodeURIComponent(`"${alias.replaceAll('"', '\\"')}":name`);
    const rows = await (await server.fetch(`/rest/v1/probe?select=${select}&id=eq.1`)).json();
    expect(rows).toEqual([{ [alias]: 'alpha' }]);
  });

  it('leaves nulls out on request', async () => {
    const response = await server.fetch('/rest/v1/probe?id=eq.3&select=id,name,big', {
      headers: { accept: 'application/vnd.pgrst.object+json;nulls=stripped' },
    });
    expect(await response.json()).toEqual({ id: 3, big: 3 });
  });

  it('gives CSV that a spreadsheet reads back', async () => {
    const { data, error } = await server.service.from('probe').select('id,name,tags').order('id').csv();
    expect(error).toBeNull();
    expect(data).toBe(
      'id,name,tags\n1,alpha,"{a,b}"\n2,"beta, ""the"" (second)","{b,c}"\n3,,\n4,running dogs,{}',
    );
  });
});

describe('filters', () => {
  it('compare in the column’s own type', async () => {
    expect(await ids(probe().eq('id', 1))).toEqual([1]);
    expect(await ids(probe().neq('name', 'alpha'))).toEqual([2, 4]);
    expect(await ids(probe().gt('amount', 2))).toEqual([1]);
    expect(await ids(probe().gte('amount', 2))).toEqual([1, 2]);
    expect(await ids(probe().lt('at', '2026-11-23T14:02:27.12Z'))).toEqual([2]);
    expect(await ids(probe().lte('day', '2026-11-24'))).toEqual([1, 2]);
    expect(await ids(probe().eq('big', '9007199254740993'))).toEqual([1]);
    expect(await ids(probe().isDistinct('name', 'alpha'))).toEqual([2, 3, 4]);
  });

  it('match patterns', async () => {
    expect(await ids(probe().like('name', 'al%'))).toEqual([1]);
    expect(await ids(probe().like('name', 'al*'))).toEqual([1]);
    expect(await ids(probe().ilike('name', '%DOGS'))).toEqual([4]);
    expect(await ids(probe().filter('name', 'match', '^a.*a$'))).toEqual([1]);
    expect(await ids(probe().filter('name', 'imatch', '^A.*A$'))).toEqual([1]);
    expect(await ids(probe().likeAnyOf('name', ['al%', '%dogs']))).toEqual([1, 4]);
    expect(await ids(probe().ilikeAllOf('name', ['A%', '%PHA']))).toEqual([1]);
  });

  it('take lists, null and truth values', async () => {
    expect(await ids(probe().in('name', ['alpha', 'beta, "the" (second)'].slice(0, 1)))).toEqual([1]);
    expect(await ids(probe().filter('name', 'in', '("beta, \\"the\\" (second)",alpha)'))).toEqual([1, 2]);
    expect(await ids(probe().in('id', []))).toEqual([]);
    expect(await ids(probe().is('name', null))).toEqual([3]);
    expect(await ids(probe().filter('name', 'is', 'not_null'))).toEqual([1, 2, 4]);
    expect(await ids(probe().is('flag', true))).toEqual([1, 4]);
    expect(await ids(probe().filter('flag', 'is', 'unknown'))).toEqual([3]);
    expect(await ids(probe().not('id', 'in', '(1,2)'))).toEqual([3, 4]);
    expect(await ids(probe().filter('id', 'eq(any)', '{1,4}'))).toEqual([1, 4]);
    expect(await ids(probe().filter('id', 'gt(all)', '{1,2}'))).toEqual([3, 4]);
  });

  it('look into arrays, ranges and JSON', async () => {
    expect(await ids(probe().contains('tags', ['a']))).toEqual([1]);
    expect(await ids(probe().containedBy('tags', ['a', 'b']))).toEqual([1, 4]);
    expect(await ids(probe().overlaps('tags', ['c', 'a']))).toEqual([1, 2]);
    expect(await ids(probe().filter('tags', 'in', '("{a,b}","{}")'))).toEqual([1, 4]);
    expect(await ids(probe().contains('meta', { k: 2 }))).toEqual([2]);
    expect(await ids(probe().eq('meta->deep->>x', 'y'))).toEqual([1]);
    expect(await ids(probe().gt('meta->k', 1))).toEqual([2]);
    expect(await ids(probe().eq('meta->list->0', 30))).toEqual([2]);
    expect(await ids(probe().rangeLt('span', '[6,9)'))).toEqual([1]);
    expect(await ids(probe().rangeGt('span', '[6,9)'))).toEqual([4]);
    expect(await ids(probe().rangeGte('span', '[5,9)'))).toEqual([2, 4]);
    expect(await ids(probe().rangeLte('span', '[5,9)'))).toEqual([1, 2]);
    expect(await ids(probe().rangeAdjacent('span', '[5,6)'))).toEqual([1]);
    expect(await ids(probe().overlaps('span', '[4,6)'))).toEqual([1, 2]);
  });

  it('search text', async () => {
    expect(await ids(probe().textSearch('document', 'run & dog'))).toEqual([4]);
    expect(await ids(probe().textSearch('name', 'running', { config: 'english', type: 'plain' }))).toEqual([
      4,
    ]);
    expect(await ids(probe().textSearch('name', 'running dogs', { type: 'phrase' }))).toEqual([4]);
    expect(await ids(probe().textSearch('name', 'alpha or dogs', { type: 'websearch' }))).toEqual([1, 4]);
  });

  it('combine as trees of or, and, not', async () => {
    expect(await ids(probe().or('id.eq.1,name.eq.running dogs'))).toEqual([1, 4]);
    expect(await ids(probe().or('id.eq.1,and(id.gt.2,name.is.null)'))).toEqual([1, 3]);
    expect(await ids(probe().or('name.eq."beta, \\"the\\" (second)",id.in.(3,4)'))).toEqual([2, 3, 4]);
    expect(await ids(probe().or('id.not.lt.4,tags.cs.{a,b}'))).toEqual([1, 4]);
    const negated = await server.fetch('/rest/v1/probe?select=id&order=id&not.or=(id.eq.1,id.eq.2)');
    expect(await negated.json()).toEqual([{ id: 3 }, { id: 4 }]);
  });
});

describe('order and window', () => {
  it('orders by several columns and JSON paths, nulls where asked', async () => {
    expect(
      await ids(
        server.service
          .from('probe')
          .select('id')
          .order('flag', { nullsFirst: true })
          .order('id', { ascending: false }),
      ),
    ).toEqual([3, 2, 4, 1]);
    expect(
      await ids(
        server.service.from('probe').select('id').order('meta->k', { ascending: false, nullsFirst: false }),
      ),
    ).toEqual([2, 1, 4, 3]);
  });

  it('cuts by range, limit, offset and the Range header', async () => {
    expect(await ids(probe().range(1, 2))).toEqual([2, 3]);
    expect(await ids(probe().limit(0))).toEqual([]);
    const response = await server.fetch('/rest/v1/probe?select=id&order=id&offset=1', {
      headers: { range: '0-1' },
    });
    expect(response.status).toBe(200);
    expect(await response.json()).toEqual([{ id: 2 }]);
    expect(response.headers.get('content-range')).toBe('1-1/*');
  });

  it('returns at most a thousand rows, and says how many there are', async () => {
    const { data, count, status } = await server.service.from('probe_many').select('n', { count: 'exact' });
    expect(data).toHaveLength(1000);
    expect(count).toBe(1500);
    expect(status).toBe(206);
  });

  it('counts without rows', async () => {
    const { data, count, status } = await server.service
      .from('probe')
      .select('*', { count: 'exact', head: true });
    expect(data).toBeNull();
    expect(count).toBe(4);
    expect(status).toBe(200);
  });

  it('estimates counts from the plan, exactly while they are small', async () => {
    const planned = await server.service.from('probe_many').select('n', { count: 'planned' });
    expect(planned.count).toBe(1500);
    const small = await server.service.from('probe').select('id', { count: 'estimated' }).lt('id', 4);
    expect(small.count).toBe(3);
    const large = await server.service.from('probe_many').select('n', { count: 'estimated' }).limit(1);
    expect(large.count).toBe(1500);
  });

  it('refuses a window beyond the counted rows, and only then', async () => {
    const counted = await server.service.from('probe').select('id', { count: 'exact' }).range(100, 110);
    expect(counted.status).toBe(416);
    expect(counted.error).toMatchObject({
      code: 'PGRST103',
      message: 'Requested range not satisfiable',
      details: 'An offset of 100 was requested, but there are only 4 rows.',
    });
    expect(await ids(probe().range(100, 110))).toEqual([]);
  });
});

describe('one object', () => {
  it('is what single() returns', async () => {
    const { data } = await server.service.from('probe').select('id').eq('id', 4).single();
    expect(data).toEqual({ id: 4 });
    const response = await server.fetch('/rest/v1/probe?id=eq.4&select=id', {
      headers: { accept: 'application/vnd.pgrst.object+json' },
    });
    expect(response.headers.get('content-type')).toBe('application/vnd.pgrst.object+json; charset=utf-8');
  });

  it('is refused with PGRST116 when there are none or several', async () => {
    const none = await server.service.from('probe').select('id').eq('id', 99).single();
    expect(none.status).toBe(406);
    expect(none.error).toMatchObject({ code: 'PGRST116', details: 'The result contains 0 rows', hint: null });
    const several = await server.service.from('probe').select('id').single();
    expect(several.error).toMatchObject({ details: 'The result contains 4 rows' });
    expect((await server.service.from('probe').select('id').eq('id', 99).maybeSingle()).data).toBeNull();
  });
});

describe('errors', () => {
  const errorOf = async (path: string, init?: RequestInit) => {
    const response = await server.fetch(path, init);
    const body = (await response.json()) as { code: string };
    expect(Object.keys(body).sort()).toEqual(['code', 'details', 'hint', 'message']);
    expect(response.headers.get('content-type')).toContain('application/json');
    expect(response.headers.get('proxy-status')).toBe(`PostgREST; error=${body.code}`);
    return { status: response.status, ...body };
  };

  it('name a table that is not published, and what may have been meant', async () => {
    expect(await errorOf('/rest/v1/inference_log')).toEqual({
      status: 404,
      code: 'PGRST205',
      message: "Could not find the table 'public.inference_log' in the schema cache",
      details: null,
      hint: "Perhaps you meant the table 'public.inference_logs'",
    });
    expect(await errorOf(`/rest/v1/${'x'.repeat(2_000)}`)).toMatchObject({
      status: 404,
      code: 'PGRST205',
      hint: null,
    });
    expect(await errorOf('/rest/v1/__proto__')).toMatchObject({ status: 404, code: 'PGRST205' });
    // It exists, but nobody published it.
    await server.pool.query('create table if not exists public.secret (a int)');
    expect(await errorOf('/rest/v1/secret')).toMatchObject({ status: 404, code: 'PGRST205' });
  });

  it('name an unknown column, wherever it is used', async () => {
    for (const query of ['select=nope', 'nope=eq.1', 'order=nope', 'or=(id.eq.1,nope.eq.2)']) {
      expect(await errorOf(`/rest/v1/probe?${query}`)).toMatchObject({
        status: 400,
        code: '42703',
        message: 'column probe.nope does not exist',
      });
    }
  });

  it('say where a query string stops making sense', async () => {
    expect(await errorOf('/rest/v1/probe?id=foo.1')).toMatchObject({
      status: 400,
      code: 'PGRST100',
      message: '"failed to parse filter (foo.1)" (line 1, column 1)',
      details: 'unexpected "f" expecting "not" or operator (eq, gt, ...)',
    });
    for (const query of [
      'or=(id.eq.1',
      'order=id.up',
      'select=id,,name',
      'id=in.(1',
      'id=is.maybe',
      'and=()',
    ]) {
      expect(await errorOf(`/rest/v1/probe?${query}`)).toMatchObject({ status: 400, code: 'PGRST100' });
    }
  });

  it('pass PostgreSQL’s own on', async () => {
    expect(await errorOf('/rest/v1/probe?id=eq.abc')).toMatchObject({ status: 400, code: '22P02' });
    expect(await errorOf('/rest/v1/probe?day=eq.2026-13-01')).toMatchObject({ status: 400, code: '22008' });
    expect(await errorOf('/rest/v1/probe?id=like.1*')).toMatchObject({ status: 404, code: '42883' });
    expect(await errorOf('/rest/v1/probe?name=match.(')).toMatchObject({ status: 400, code: '2201B' });
  });

  it('refuse what is not offered, by name', async () => {
    expect(await errorOf('/rest/v1/probe?select=id,other(*)')).toMatchObject({
      status: 400,
      code: 'PGRST200',
    });
    expect(await errorOf('/rest/v1/probe?select=id.sum()')).toMatchObject({ status: 400, code: 'PGRST123' });
    expect(await errorOf('/rest/v1/probe?other.id=eq.1')).toMatchObject({ status: 400, code: 'PGRST108' });
    expect(await errorOf('/rest/v1/probe?select=id::regclass')).toMatchObject({ status: 400, code: '42704' });
    expect(await errorOf('/rest/v1/probe?limit=-1')).toMatchObject({ status: 416, code: 'PGRST103' });
    expect(await errorOf('/rest/v1/probe', { headers: { accept: 'application/geo+json' } })).toMatchObject({
      status: 406,
      code: 'PGRST107',
    });
    expect(await errorOf('/rest/v1/probe', { headers: { 'accept-profile': 'nowcast' } })).toMatchObject({
      status: 406,
      code: 'PGRST106',
    });
    expect(
      await errorOf('/rest/v1/probe', { headers: { prefer: 'handling=strict, colour=red' } }),
    ).toMatchObject({ status: 400, code: 'PGRST122' });
    expect(await errorOf('/rest/v1/probe', { method: 'PUT' })).toMatchObject({
      status: 405,
      code: 'PGRST117',
    });
    for (const path of ['/rest/v1/', '/rest/v1', '/rest/v1/a/b', '/rest/v1/rpc/']) {
      expect(await errorOf(path)).toMatchObject({ status: 404, code: 'PGRST125' });
    }
  });

  it('bound the size of a query', async () => {
    const filters = Array.from({ length: 101 }, () => 'id=eq.1').join('&');
    expect(await errorOf(`/rest/v1/probe?${filters}`)).toMatchObject({ status: 400, code: 'PGRST100' });
    const deep = `${'and('.repeat(20)}id.eq.1${')'.repeat(20)}`;
    expect(await errorOf(`/rest/v1/probe?and=(${deep})`)).toMatchObject({ status: 400, code: 'PGRST100' });
    const list = Array.from({ length: 6000 }, (_, n) => n).join(',');
    expect(await (await server.fetch(`/rest/v1/probe?select=id&id=in.(${list})&limit=1`)).json()).toEqual([
      { id: 1 },
    ]);
  });

  it('answer sign-in attempts with a clean 404', async () => {
    const { error } = await server.anon.auth.signInWithPassword({ email: 'a@b.c', password: 'x' });
    expect(error).toMatchObject({ status: 404, message: expect.stringContaining('no user accounts') });
  });
});

describe('the catalog', () => {
  it('is read again when a name is missing, so that a new column is known at once', async () => {
    await server.pool.query(
      'create table public.probe_young (a int); insert into public.probe_young values (1)',
    );
    expect(await (await server.fetch('/rest/v1/probe_young')).json()).toEqual([{ a: 1 }]);
    await server.pool.query('alter table public.probe_young add b int default 2');
    expect(await (await server.fetch('/rest/v1/probe_young?b=eq.2&select=b')).json()).toEqual([{ b: 2 }]);
    await server.pool.query('alter table public.probe_young drop b');
    expect((await server.fetch('/rest/v1/probe_young')).status).toBe(400);
    expect(await (await server.fetch('/rest/v1/probe_young')).json()).toEqual([{ a: 1 }]);
  });

  it('is read at most once a second, however often a name is missing', async () => {
    let nowMs = 0;
    const catalog = await loadCatalog(server.pool, () => nowMs);
    await server.pool.query('create table public.probe_late (a int)');
    nowMs = 999;
    await catalog.refresh();
    expect(catalog.relation('probe_late')).toBeUndefined();
    nowMs = 1_000;
    await catalog.refresh();
    expect(catalog.relation('probe_late')).toEqual({
      schema: 'public',
      name: 'probe_late',
      kind: 'table',
      columns: [{ name: 'a', type: 'int4', isPrimaryKey: false, hasDefault: false, nullable: true }],
    });
  });

  it('holds the partitioned parent as a table and none of its partitions', () => {
    const logs = server.catalog.relation('inference_logs');
    expect(logs?.kind).toBe('table');
    expect(logs?.columns.filter((column) => column.isPrimaryKey).map(({ name }) => name)).toEqual([
      'id',
      'timestamp',
    ]);
    expect(logs?.columns[0]).toMatchObject({ name: 'id', type: 'int8', hasDefault: true, nullable: false });
  });
});
