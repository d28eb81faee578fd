import { DatabaseError, type Pool, type PoolClient, type QueryResultRow } from 'pg';

export type Query = <Row extends QueryResultRow>(text: string, values?: readonly unknown[]) => Promise<Row[]>;

/** How long an explanation may take: whoever waits for it has news to tell. */
export interface Bounds {
  readonly statementMs: number;
  readonly totalMs: number;
}

const defaultBounds: Bounds = { statementMs: 1_000, totalMs: 2_500 };
const statementCancelled = '57014';

/** Runs parts of a question on one connection, in a transaction that is undone; a part that takes too long is left out. */
export class Bounded {
  /** Names of the parts that took too long. */
  readonly leftOut: string[] = [];
  readonly #client: PoolClient;
  readonly #statementMs: number;
  readonly #endsAtMs: number;

  private constructor(client: PoolClient, { statementMs, totalMs }: Bounds) {
    this.#client = client;
    this.#statementMs = statementMs;
    this.#endsAtMs = performance.now() + totalMs;
  }

  static async use<Result>(
    db: Pool | PoolClient,
    bounds: Bounds | undefined,
    work: (bounded: Bounded) => Promise<Result>,
  ): Promise<Result> {
    if (isClient(db)) return await Bounded.#on(db, bounds, work);
    const client = await db.connect();
    let broken: Error | undefined;
    try {
      return await Bounded.#on(client, bounds, work);
    } catch (error) {
      if (!(error instanceof DatabaseError)) broken = error as Error;
      throw error;
    } finally {
      client.release(broken);
    }
  }

  static async #on<Result>(
    client: PoolClient,
    bounds: Bounds = defaultBounds,
    work: (bounded: Bounded) => Promise<Result>,
  ): Promise<Result> {
    const inTransaction = client.getTransactionStatus() === 'T';
    await client.query(inTransaction ? 'savepoint nowcast_explain' : 'begin read only');
    try {
      return await work(new Bounded(client, bounds));
    } finally {
      // Takes the settings back too.
      await client.query(
        inTransaction
          ? 'rollback to savepoint nowcast_explain; release savepoint nowcast_explain'
          : 'rollback',
      );
    }
  }

  /** @returns undefined when it took too long */
  async part<Result>(name: string, work: (query: Query) => Promise<Result>): Promise<Result | undefined> {
    const leftMs = this.#endsAtMs - performance.now();
    if (leftMs < 1) {
      this.leftOut.push(name);
      return undefined;
    }
    const timeoutMs = Math.ceil(Math.min(this.#statementMs, leftMs));
    await this.#client.query(`savepoint nowcast_explain_part; set local statement_timeout = ${timeoutMs}`);
    try {
      return await work(
        async <Row extends QueryResultRow>(text: string, values: readonly unknown[] = []) =>
          (await this.#client.query<Row>(text, [...values])).rows,
      );
    } catch (error) {
      if (!(error instanceof DatabaseError) || error.code !== statementCancelled) throw error;
      await this.#client.query('rollback to savepoint nowcast_explain_part');
      this.leftOut.push(name);
      return undefined;
    }
  }
}

function isClient(db: Pool | PoolClient): db is PoolClient {
  return 'release' in db;
}
