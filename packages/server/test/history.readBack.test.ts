import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { coldColumn, identifier, literal } from '../src/history/cold/columns.ts';
import { type Piece, Pieces, selectPieces } from '../src/history/cold/pieces.ts';
import { assertReadsBack } from '../src/history/cold/readBack.ts';
import { Scratch } from '../src/history/cold/scratch.ts';
import { type Pipeline, startPipeline } from './support/pipeline.ts';

/** A column of each type that crosses in a way of its own, and some that cross as text. */
const types = {
  big: 'bigint',
  whole: 'integer',
  small: 'smallint',
  double: 'double precision',
  single: 'real',
  flag: 'boolean',
  moment: 'timestamp with time zone',
  day: 'date',
  words: 'text',
  'a "quoted" name': 'jsonb',
  list: 'integer[]',
  exact: 'numeric',
} as const;
const columns = Object.entries(types).map(([name, type]) => coldColumn(name, type));

let pipeline: Pipeline;
let client: pg.PoolClient;
let directory: string;
let scratch: Scratch;
beforeAll(async () => {
  pipeline = await startPipeline();
  client = await pipeline.pool.connect();
  directory = await mkdtemp(path.join(os.tmpdir(), 'nowcast-test-'));
  scratch = await Scratch.open(path.join(directory, 'scratch'));
  const list = Object.entries(types).map(([name, type]) => `${identifier(name)} ${type}`);
  await client.query(`create temp table crossing (position serial, ${list.join(', ')})`);
});
afterAll(async () => {
  await scratch.close();
  client.release(true);
  await pipeline.close();
  await rm(directory, { recursive: true, force: true });
});

/** The rows of the table, by their order, as pieces; and a file that was made of them by a query over `pieces`. */
async function archived(query = 'select * from pieces'): Promise<{ pieces: Piece[]; file: string }> {
  const pieces: Piece[] = [];
  const taking = new Pieces(scratch.directory, columns, (piece) => {
    pieces.push(piece);
  });
  await taking.take(client, 'from crossing order by position');
  await taking.end();
  const file = path.join(directory, 'rows.parquet');
  const files = pieces.map((piece) => piece.file);
  await scratch.run(
    `copy (with pieces as (${selectPieces(files, columns)}) ${query}) to ${literal(file)} (format parquet)`,
  );
  return { pieces, file };
}

const numbers = [
  0,
  -0,
  1,
  -1,
  0.1,
  1e300,
  -5e-324,
  Number.NaN,
  Number.POSITIVE_INFINITY,
  Number.NEGATIVE_INFINITY,
];
const maybe = <T>(values: readonly T[]) => fc.option(fc.constantFrom(...values), { nil: null });
const row = fc.tuple(
  maybe(['0', '-1', '9223372036854775807', '-9223372036854775808', '1234567890123']),
  maybe([0, -1, 2_147_483_647, -2_147_483_648]),
  maybe([0, -1, 32_767, -32_768]),
  fc.oneof(maybe(numbers), fc.double()),
  maybe(numbers.map((number) => Math.fround(number))),
  maybe([true, false]),
  maybe([
    '2025-02-03 04:05:06.789012Z',
    '1969-12-31 23:59:59.999999Z',
    '2000-01-01Z',
    'infinity',
    '-infinity',
  ]),
  maybe(['2025-02-03', '1900-01-01', 'infinity', '-infinity']),
  fc.oneof(
    maybe(['', ' ', 'NULL', '\\N', 'größer 模型 🙂', 'x'.repeat(40)]),
    fc.string({ unit: 'grapheme' }),
  ),
  maybe(['{}', '[1, null]', '"é\\n"', '{"a": {"b": "🙂"}}']),
  maybe(['{}', '{1,NULL,3}']),
  maybe(['0', '1.50', 'NaN', '12345678901234567890.123456789']),
);
const insert = `insert into crossing (${columns.map(({ name }) => identifier(name)).join(', ')})
  values (${columns.map((_, index) => `$${index + 1}`).join(', ')})`;

describe('a file of the archive', () => {
  test('reads back as PostgreSQL sent its rows, whatever they hold', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(row, { maxLength: 30 }), async (rows) => {
        await client.query('truncate crossing');
        for (const values of rows) {
          await client.query(
            insert,
            values.map((value) => (typeof value === 'string' ? value.replaceAll('\0', '') : value)),
          );
        }
        const { pieces, file } = await archived();
        await assertReadsBack(scratch, file, columns, pieces);
        // Each value as text, by either database.
        const list = ['big', 'whole', 'small', 'flag', 'words', 'exact', 'list'].map(identifier).join(', ');
        const read = await scratch.one<{ rows: string }>(
          `select to_json(list([${list.replaceAll(/"(\w+)"/g, '"$1"::varchar')}]))::varchar as rows from read_parquet(${literal(file)})`,
        );
        const { rows: held } = await client.query<{ texts: (string | null)[] }>(
          `select array[${list.replaceAll(/"(\w+)"/g, '"$1"::text')}] as texts from crossing order by position`,
        );
        expect(JSON.parse(read.rows) ?? []).toEqual(held.map(({ texts }) => texts));
      }),
      { numRuns: 20 },
    );
  });

  test('shows moments and days as PostgreSQL does', async () => {
    await client.query('truncate crossing');
    await client.query(
      `insert into crossing (moment, day) values ('2025-02-03 04:05:06.789012Z', '1999-12-31')`,
    );
    const { file } = await archived();
    expect(
      await scratch.one(
        `select moment::varchar as moment, day::varchar as day from read_parquet(${literal(file)})`,
      ),
    ).toEqual({ moment: '2025-02-03 04:05:06.789012+00', day: '1999-12-31' });
  });

  test('of several pieces reads back piece by piece', async () => {
    await client.query('truncate crossing');
    await client.query(
      `insert into crossing (big, words) select n, 'row ' || n from generate_series(1, 260000) n`,
    );
    const { pieces, file } = await archived();
    expect(pieces.map(({ rows }) => rows)).toEqual([122_880, 122_880, 14_240]);
    await assertReadsBack(scratch, file, columns, pieces);
  });

  test.each([
    ['lost a row', 'select * from pieces where whole <> 2'],
    ['holds a row twice', 'select * from pieces union all select * from pieces where whole = 3'],
    [
      'holds one row instead of another',
      'select * from pieces where whole <> 2 union all select * from pieces where whole = 3',
    ],
    ['has rows in another order', 'select * from pieces order by whole desc'],
    ['has another number', 'select * replace (big + (whole = 2)::bigint as big) from pieces'],
    ['has a number that is a bit off', 'select * replace (double + 1e-12 as double) from pieces'],
    ['has another zero', 'select * replace (0.0::double as double) from pieces'],
    ['has another moment', `select * replace (moment + interval '1 microsecond' as moment) from pieces`],
    ['has a value where none was', 'select * replace (coalesce(flag, false) as flag) from pieces'],
    ['has an empty text where none was', `select * replace (coalesce(words, '') as words) from pieces`],
    ['has no value where one was', 'select * replace (null::smallint as small) from pieces'],
    [
      'has a letter in the next column',
      `select * replace (words[:-2] as words, concat(words[-1:], list) as list) from pieces`,
    ],
    [
      'has two values exchanged',
      'select * replace (case whole when 1 then 2 when 2 then 1 else big end as big) from pieces',
    ],
  ])('is not accepted when it %s', async (_, query) => {
    await client.query('truncate crossing');
    await client.query(
      `insert into crossing (big, whole, small, double, flag, moment, words, list)
       select n, n, n, case n when 1 then -0.0::float8 else n end, nullif(n, 2) > 1, timestamptz '2025-01-01Z' + n * interval '1 s',
         nullif('text ' || n, 'text 2'), array[n] from generate_series(1, 3) n`,
    );
    const { pieces, file } = await archived(query);
    await expect(assertReadsBack(scratch, file, columns, pieces)).rejects.toThrow(
      /differ from what PostgreSQL sent|holds \d rows of 3/,
    );
    const honest = await archived();
    await assertReadsBack(scratch, honest.file, columns, honest.pieces);
  });
});
