import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { formatError, formatJson, formatTable } from '../src/commands/sqlOutput.ts';
import { splitStatements } from '../src/commands/sqlPrompt.ts';
import { createEmptyDatabase } from './support/postgres.ts';
import { buildServer, clusterDirectory, query, spawnEmbedded, spawnNowcast } from './support/processes.ts';

beforeAll(buildServer);

async function nowcast(args: string[], env: Record<string, string> = {}, input?: string) {
  const { ended, stdout, stderr } = spawnNowcast(args, env, input);
  const { code } = await ended;
  return { code, stdout: stdout(), stderr: stderr() };
}

async function emptyDatabase(): Promise<Record<string, string>> {
  const database = await createEmptyDatabase();
  onTestFinished(database.drop);
  return { DATABASE_URL: database.url };
}

describe('nowcast', () => {
  test('lists commands and settings', async () => {
    const { code, stdout } = await nowcast(['--help']);
    expect(code).toBe(0);
    for (const word of [
      'start',
      'migrate',
      'sql',
      'demo',
      'PORT',
      '(default: 4318)',
      'NOWCAST_DATA_DIR',
      'Exit codes',
    ]) {
      expect(stdout).toContain(word);
    }
  });

  test('lists the settings with the command that they are for, too', async () => {
    const { code, stdout } = await nowcast(['start', '--help']);
    expect(code).toBe(0);
    expect(stdout).toContain('NOWCAST_DATA_DIR');
  });

  test('works under a uid that has no name, as in many containers', async () => {
    const nameless = `import os from 'node:os';
      os.userInfo = () => { throw new Error('uv_os_get_passwd returned ENOENT'); };`;
    const env = {
      NODE_OPTIONS: `--import data:text/javascript,${encodeURIComponent(nameless)}`,
      USER: 'ana',
    };
    const { code, stdout } = await nowcast(['alerts', 'ack', '--help'], env);
    expect(code).toBe(0);
    expect(stdout).toContain('(default: "ana")');
  });

  test('passes what the demo is asked for on to it, and its exit code back', async () => {
    expect((await nowcast(['demo', '--help'])).code).toBe(0);
    expect(await nowcast(['demo', '--minutes', 'long'])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('--minutes must be a number above 0, not "long".'),
    });
  });

  test('tells its version', async () => {
    expect(await nowcast(['--version'])).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/),
    });
  });

  test('answers an unknown command with a suggestion and exit code 2', async () => {
    const { code, stderr } = await nowcast(['strat']);
    expect(code).toBe(2);
    expect(stderr).toContain('Did you mean start?');
  });

  test('answers a wrong use of a command with the way to its own help', async () => {
    expect(await nowcast(['alerts', 'ack'])).toEqual({
      code: 2,
      stdout: '',
      stderr:
        "error: missing required argument 'incident'\n(nowcast alerts ack --help tells how it is used)\n",
    });
  });

  test('answers wrong settings with one sentence and exit code 2', async () => {
    expect(await nowcast(['start'], { NOWCAST_DATADIR: 'x' })).toEqual({
      code: 2,
      stdout: '',
      stderr: 'NOWCAST_DATADIR is not a setting: did you mean NOWCAST_DATA_DIR?\n',
    });
    expect((await nowcast(['sql', 'select 1'], { PORT: 'x' })).code).toBe(2);
  });
});

describe('nowcast sql', () => {
  test('runs a query on the given database', async () => {
    const env = await emptyDatabase();
    const { code, stdout } = await nowcast(
      ['sql', `select 1 as n, 'a' as text union all select 200, null order by 1`],
      env,
    );
    expect(stdout).toBe('  n | text\n----+-----\n  1 | a\n200 |\n(2 rows)\n\n');
    expect(code).toBe(0);
  });

  test('prints NDJSON', async () => {
    const env = await emptyDatabase();
    const { stdout } = await nowcast(
      [
        'sql',
        '--json',
        `select 1 as a, 2.5 as b, true as c, null as d, '{"x":[1]}'::jsonb as e, 'NaN'::float8 as f, 9007199254740993 as g`,
      ],
      env,
    );
    expect(stdout).toBe('{"a":1,"b":2.5,"c":true,"d":null,"e":{"x":[1]},"f":"NaN","g":"9007199254740993"}\n');
  });

  test('shows what PostgreSQL says and exits with 1', async () => {
    const { code, stderr } = await nowcast(['sql', 'select 1,\n  nonsense'], await emptyDatabase());
    expect(code).toBe(1);
    expect(stderr).toBe('ERROR:  column "nonsense" does not exist\nLINE 2:   nonsense\n          ^\n');
  });

  test('runs a script from stdin', async () => {
    const env = await emptyDatabase();
    const { stdout } = await nowcast(
      ['sql'],
      env,
      'create table t (a int);\ninsert into t values (1), (2);\n',
    );
    expect(stdout).toBe('CREATE\nINSERT 2\n');
    expect(await query(env.DATABASE_URL!, 'select count(*) from t')).toEqual([['2']]);
  });

  test('says which database does not answer', async () => {
    const { code, stderr } = await nowcast(['sql', 'select 1'], {
      DATABASE_URL: 'postgres://u:hunter2@127.0.0.1:1/x',
    });
    expect(code).toBe(1);
    expect(stderr).toContain('The database at 127.0.0.1:1 does not answer');
    expect(stderr).not.toContain('hunter2');
  });

  test('uses the embedded PostgreSQL of a running Nowcast', async () => {
    const dataDir = await clusterDirectory();
    const running = await spawnEmbedded(dataDir);
    await query(running.url, 'create table kept as select 42 as answer');
    const { stdout } = await nowcast(['sql', '--json', 'select answer from kept'], {
      NOWCAST_DATA_DIR: dataDir,
    });
    expect(stdout).toBe('{"answer":42}\n');
  });

  test('starts the embedded PostgreSQL for the time of the query', async () => {
    const dataDir = await clusterDirectory();
    const { stdout } = await nowcast(['sql', '--json', 'select 1 as a'], { NOWCAST_DATA_DIR: dataDir });
    expect(stdout).toBe('{"a":1}\n');
    // Given back: the next one can have it.
    expect((await nowcast(['sql', '--json', 'select 2 as a'], { NOWCAST_DATA_DIR: dataDir })).stdout).toBe(
      '{"a":2}\n',
    );
  });
});

describe('SQL output', () => {
  const text = (name: string) => ({ name, dataTypeID: 25 });

  test('keeps its shape whatever a value holds', () => {
    expect(formatTable([text('a')], [['x\ny\u001b[2J'], ['é']])).toBe(
      'a\n-----------\nx\\ny\\x1b[2J\né\n(2 rows)\n\n',
    );
    expect(formatTable([text('only')], [])).toBe('only\n----\n(0 rows)\n\n');
    expect(formatJson([text('a')], [['x\ny']])).toBe('{"a":"x\\ny"}\n');
  });

  test('adds detail and hint to an error', () => {
    expect(formatError({ message: 'no', severity: 'ERROR', detail: 'd', hint: 'h' }, '')).toBe(
      'ERROR:  no\nDETAIL:  d\nHINT:  h',
    );
  });
});

describe('the prompt', () => {
  test.each([
    ['select 1; select', ['select 1;'], ' select'],
    [`select ';', "a;b"; x`, [`select ';', "a;b";`], ' x'],
    [`select 'it''s;'; `, [`select 'it''s;';`], ' '],
    [String.raw`select e'\';';`, [String.raw`select e'\';';`], ''],
    ['do $$ begin; end $$; --;\n', ['do $$ begin; end $$;'], ' --;\n'],
    ['do $a$ $$;$$ $a$;', ['do $a$ $$;$$ $a$;'], ''],
    ['/* ; */ select 1;', ['/* ; */ select 1;'], ''],
    [`select 'open;`, [], `select 'open;`],
    [';;', [], ''],
  ])('splits %j at the semicolons that end a statement', (sql, statements, rest) => {
    expect(splitStatements(sql)).toEqual({ statements, rest });
  });
});
