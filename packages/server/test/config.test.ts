import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { checkConfig, loadConfig } from '../src/config/config.ts';
import { applyRules } from '../src/config/rules.ts';
import { createTestDatabase, type TestDatabase } from './support/postgres.ts';

let database: TestDatabase;
let pool: pg.Pool;
let directory: string;
beforeAll(async () => {
  database = await createTestDatabase();
  pool = new pg.Pool({ connectionString: database.url, max: 2 });
  directory = await mkdtemp(path.join(os.tmpdir(), 'nowcast-config-'));
});
afterAll(async () => {
  await pool.end();
  await database.drop();
  await rm(directory, { recursive: true, force: true });
});

async function load(text: string, name = 'nowcast.config.ts') {
  await writeFile(path.join(directory, name), text);
  return loadConfig(undefined, directory);
}
const apply = (rules: unknown) => applyRules(pool, checkConfig('nowcast.config.ts', { rules }));
const stored = async (name: string) =>
  (
    await pool.query('select kind, condition, severity, enabled, source from alert_rules where name = $1', [
      name,
    ])
  ).rows[0];

describe('the configuration file', () => {
  test('is TypeScript with types of its own, needs nothing beside it, and is read anew each time', async () => {
    const text = (value: number) => `
      import { defineConfig } from 'nowcast/config';
      const bound: number = ${value};
      export default defineConfig({
        rules: [{ name: 'slow', kind: 'threshold', condition: { metric: 'p95_latency_ms', comparator: '>', value: bound } }],
      });`;
    expect((await load(text(1)))?.rules[0]?.condition).toMatchObject({ value: 1 });
    expect((await load(text(2)))?.rules[0]?.condition).toMatchObject({ value: 2 });
  });

  test('need not be there, unless somebody named it', async () => {
    expect(await loadConfig(undefined, path.join(directory, 'elsewhere'))).toBeUndefined();
    await expect(loadConfig('/nowhere/nowcast.config.ts')).rejects.toThrow(
      'NOWCAST_CONFIG names /nowhere/nowcast.config.ts, and there is no such file.',
    );
  });

  test('that does not compile or run says so in a sentence', async () => {
    await expect(load('export default {')).rejects.toThrow(/^nowcast\.config\.ts cannot be read: /);
    await expect(load('throw new Error("no")')).rejects.toThrow('nowcast.config.ts cannot be read: no');
  });

  test.for([
    [[], 'the default export must be an object, not a list.'],
    [{ rule: [] }, 'the default export has no rule; did you mean rules?'],
    [{ rules: {} }, 'rules must be a list, not an object.'],
    [{ rules: [7] }, 'rules[0] must be an object, not the number 7.'],
    [{ rules: [{ kind: 'latency' }] }, 'rules[0].name is missing.'],
    [{ rules: [{ name: 'a', for_second: 1 }] }, 'rules[0] has no for_second; did you mean for_seconds?'],
    [
      { rules: [{ name: 'a', min_events: '5' }] },
      'rules[0].min_events must be a whole number, not the string "5".',
    ],
    [
      { rules: [{ name: 'a', severity: 'high' }] },
      'rules[0].severity must be warning or critical, not the string "high".',
    ],
    [{ rules: [{ name: 'a' }, { name: 'a' }] }, 'rules[1].name is that of rules[0] too.'],
    [{ channels: {} }, 'channels must be a list.'],
  ])('%j is refused: %s', ([config, message]) => {
    expect(() => checkConfig('nowcast.config.ts', config)).toThrow(`nowcast.config.ts: ${message}`);
  });
});

describe('rules of the file', () => {
  test('are written, change defaults by name, and go when the file no longer names them', async () => {
    const before = await stored('error_failure');
    await apply([
      { name: 'error_failure', severity: 'warning' },
      { name: 'anomaly', enabled: false },
      {
        name: 'cost',
        kind: 'threshold',
        condition: { metric: 'cost_usd_per_hour', comparator: '>', value: 20 },
      },
    ]);
    expect(await stored('error_failure')).toEqual({ ...before, severity: 'warning', source: 'config' });
    expect(await stored('anomaly')).toMatchObject({ enabled: false, source: 'config' });
    expect(await stored('cost')).toMatchObject({ kind: 'threshold', source: 'config' });
    expect(await apply([{ name: 'anomaly', enabled: false }])).toBe(2);
    expect(await stored('error_failure')).toEqual(before);
    expect(await stored('cost')).toBeUndefined();
    expect(await applyRules(pool, undefined)).toBe(1);
    expect(await stored('anomaly')).toMatchObject({ enabled: true, source: 'default' });
  });

  test('leave the rules of others alone', async () => {
    await pool.query(`insert into alert_rules (name, kind) values ('mine', 'latency')`);
    await apply([]);
    expect(await stored('mine')).toMatchObject({ source: 'user' });
  });

  test.for([
    [{ name: 'Mine', kind: 'latency' }, '.name must be small letters, digits and underscores'],
    [{ name: 'mine' }, '.kind is missing: mine is not the name of a default rule.'],
    [{ name: 'mine', kind: 'latencies' }, '.kind must be one of anomaly, '],
    [
      { name: 'mine', kind: 'latency', condition: { factor: 0.5 } },
      '.condition.factor must be a number from 1.01 to 1000',
    ],
    [{ name: 'mine', kind: 'latency', for_seconds: -1 }, '.for_seconds is out of its range.'],
  ])('%j is refused, and nothing of the file is kept: %s', async ([rule, message]) => {
    await expect(apply([{ name: 'kept_out', kind: 'latency' }, rule as { name: string }])).rejects.toThrow(
      `nowcast.config.ts: rules[1]${message}`,
    );
    expect(await stored('kept_out')).toBeUndefined();
  });
});
