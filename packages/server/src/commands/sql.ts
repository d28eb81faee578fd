import { text } from 'node:stream/consumers';
import type { Command } from 'commander';
import pg from 'pg';
import { readSettings } from '../settings.ts';
import { StartupError } from '../startupError.ts';
import { withDatabase } from './database.ts';
import { formatError, formatJson, formatTable } from './sqlOutput.ts';
import { runPrompt } from './sqlPrompt.ts';

/** Runs SQL text, prints what it gives; resolves with whether PostgreSQL accepted it. */
export type RunSql = (sql: string) => Promise<boolean>;

export function addSqlCommand(program: Command): void {
  program
    .command('sql')
    .description('run a query, or open a prompt (the embedded PostgreSQL brings no psql)')
    .argument('[query]', 'one or more statements; without it a prompt, or what comes on stdin')
    .option('--json', 'print rows as NDJSON instead of a table')
    .action(async (query: string | undefined, options: { json?: boolean }) => {
      const settings = readSettings(process.env);
      await withDatabase(settings, 'sql', async (url) => {
        const client = await connect(url);
        const run: RunSql = (sql) => runSql(client, sql, options.json ?? false);
        try {
          if (query === undefined && process.stdin.isTTY) {
            await runPrompt(run, { dataDir: settings.dataDir, cancel: () => cancelQuery(url, client) });
          } else if (!(await run(query ?? (await text(process.stdin))))) {
            process.exitCode = 1;
          }
        } finally {
          await client.end();
        }
      });
    });
}

async function connect(url: string): Promise<pg.Client> {
  const client = new pg.Client({
    connectionString: url,
    application_name: 'nowcast sql',
    connectionTimeoutMillis: 10_000,
    // Values as PostgreSQL writes them: a JavaScript Date has no microseconds.
    types: { getTypeParser: () => (value: string) => value },
  });
  client.on('notice', (notice) => console.error(`${notice.severity ?? 'NOTICE'}:  ${notice.message}`));
  // Also rejects the query in flight, which reports it.
  client.on('error', () => undefined);
  try {
    await client.connect();
    return client;
  } catch (error) {
    const { host, port } = client;
    throw new StartupError(
      `The database at ${host}:${port} does not answer (${(error as Error).message}): is it running, and is DATABASE_URL right?`,
      1,
      { cause: error },
    );
  }
}

async function runSql(client: pg.Client, sql: string, json: boolean): Promise<boolean> {
  try {
    const answer: unknown = await client.query({ text: sql, rowMode: 'array' });
    const results = (Array.isArray(answer) ? answer : [answer]) as pg.QueryArrayResult<(string | null)[]>[];
    for (const result of results) {
      if (result.fields.length > 0) {
        process.stdout.write((json ? formatJson : formatTable)(result.fields, result.rows));
      } else if (!json && result.command) {
        console.log([result.command, result.rowCount].filter((part) => part !== null).join(' '));
      }
    }
    return true;
  } catch (error) {
    console.error(formatError(error as pg.DatabaseError, sql));
    return false;
  }
}

/** A second connection is PostgreSQL's way to interrupt the first. */
async function cancelQuery(url: string, client: pg.Client): Promise<void> {
  const { processID } = client as pg.Client & { processID: number };
  const other = new pg.Client({ connectionString: url });
  try {
    await other.connect();
    await other.query('select pg_cancel_backend($1)', [processID]);
  } finally {
    await other.end();
  }
}
