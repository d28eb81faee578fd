/**
 * Runs the statements of the REST door, each in its own transaction with a time limit, in UTC.
 *
 * A read is `begin read only; …` under its scope's role, the statement, `commit`. On a pool opened with `pipeline: true` they travel
 * together in one round trip; otherwise one after the other. Nothing is set on the session, so that it works
 * behind a transaction-mode pooler too and leaves no trace on a connection that others use.
 */
import type pg from 'pg';
import type { Statement } from './expression.ts';
import type { ReadPlan, ReadRow } from './read.ts';
import { setRole } from './roles.ts';
import type { WriteRow } from './write.ts';

/** A dashboard's query takes milliseconds; one that takes this long would starve the others. */
const STATEMENT_TIMEOUT_MS = 5_000;

const SETTINGS = `set local statement_timeout = ${STATEMENT_TIMEOUT_MS}; set local timezone = 'UTC'`;
const BEGIN_READ = `begin read only; ${SETTINGS}`;
const BEGIN_WRITE = `begin; ${SETTINGS}`;

export interface ReadResult {
  row: ReadRow;
  /** The planner's guess of the total, where the plan asked for it. */
  estimate: number | undefined;
}

/** @param role which may see nothing but what is published; undefined where the database has none */
export async function runRead(pool: pg.Pool, plan: ReadPlan, role: string | undefined): Promise<ReadResult> {
  const { statement, estimate } = plan;
  const statements = estimate ? [statement, estimate] : [statement];
  const begin = role === undefined ? BEGIN_READ : `${BEGIN_READ}; ${setRole(role)}`;
  const results = await withClient(pool, (client) =>
    client.pipeline ? pipelined(client, begin, statements) : inTurn(client, begin, statements),
  );
  const row: ReadRow = results[0]?.rows[0];
  return { row, estimate: estimate && estimatedRows(results[1]?.rows[0]) };
}

/** `check` sees the outcome before the commit; what it throws rolls the write back and reaches the caller. */
export async function runWrite<Row extends pg.QueryResultRow = WriteRow>(
  pool: pg.Pool,
  statement: Statement,
  check: (row: Row) => void,
): Promise<Row> {
  return withClient(pool, async (client) => {
    try {
      await client.query(BEGIN_WRITE);
      const result = await client.query<Row>(statement);
      const row = result.rows[0]!;
      check(row);
      await client.query('commit');
      return row;
    } catch (error) {
      await client.query('rollback');
      throw error;
    }
  });
}

async function pipelined(
  client: pg.PoolClient,
  begin: string,
  statements: readonly Statement[],
): Promise<pg.QueryResult[]> {
  const [begun, ...rest] = await Promise.allSettled([
    client.query(begin),
    ...statements.map((statement) => client.query(statement)),
    // After an error PostgreSQL turns this commit into a rollback: no further round trip.
    client.query('commit'),
  ]);
  return [begun, ...rest]
    .map((outcome) => {
      if (outcome.status === 'rejected') throw outcome.reason;
      return outcome.value;
    })
    .slice(1);
}

async function inTurn(
  client: pg.PoolClient,
  begin: string,
  statements: readonly Statement[],
): Promise<pg.QueryResult[]> {
  const results: pg.QueryResult[] = [];
  try {
    await client.query(begin);
    for (const statement of statements) results.push(await client.query(statement));
    await client.query('commit');
  } catch (error) {
    await client.query('rollback');
    throw error;
  }
  return results;
}

/**
 * Gives the connection back, or closes it when even its rollback failed: it may be inside a transaction.
 * A connection that dies while it is in use reports that twice: to the query, whose caller hears of it, and as an
 * `error` event, which would end the process if nobody listened.
 */
async function withClient<T>(pool: pg.Pool, use: (client: pg.PoolClient) => Promise<T>): Promise<T> {
  const client = await pool.connect();
  const reportedByQuery = () => {};
  client.on('error', reportedByQuery);
  try {
    return await use(client);
  } finally {
    const reusable = client.getTransactionStatus() === 'I';
    if (reusable) client.off('error', reportedByQuery);
    client.release(!reusable);
  }
}

function estimatedRows(row: unknown): number {
  const plan = (row as { 'QUERY PLAN': [{ Plan: { 'Plan Rows': number } }] })['QUERY PLAN'];
  return Math.round(plan[0].Plan['Plan Rows']);
}
