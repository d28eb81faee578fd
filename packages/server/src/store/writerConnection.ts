import pg from 'pg';
import { lockTimeoutMs, prepareFeedStatement } from './group.ts';

/** What has no answer for this long runs on a dead connection; the largest transaction takes a twentieth of it. */
const answerTimeoutMs = 10_000;
const connectTimeoutMs = 5_000;
/** Reconnecting begins quickly, so that a restart of PostgreSQL is met within a second, and never hammers. */
const firstPauseMs = 50;
const longestPauseMs = 500;

/** The writer's one connection: opened when needed, dropped when in doubt. */
export class WriterConnection {
  readonly #url: string;
  #client: pg.Client | undefined;
  #pauseMs = firstPauseMs;
  #closed = false;

  constructor(url: string) {
    this.#url = url;
  }

  /** A further connection to the same database. */
  another(): WriterConnection {
    return new WriterConnection(this.#url);
  }

  /** @throws when the database cannot be reached */
  async client(): Promise<pg.Client> {
    if (this.#client !== undefined) return this.#client;
    const client = new pg.Client({
      connectionString: this.#url,
      application_name: 'nowcast writer',
      keepAlive: true,
      connectionTimeoutMillis: connectTimeoutMs,
    });
    client.on('error', () => {
      // The statement in flight, or the next one, reports it.
      if (this.#client === client) this.#client = undefined;
    });
    // A database that stops between accepting and answering would hold us forever.
    const timer = setTimeout(() => destroy(client), connectTimeoutMs);
    try {
      await client.connect();
      await client.query(
        `set lock_timeout = '${lockTimeoutMs}ms'; set timezone = 'UTC'; set synchronous_commit = on; ${prepareFeedStatement}`,
      );
    } catch (error) {
      // Not `end()`: it waits for the answer of a database that may be standing still.
      destroy(client);
      throw error;
    } finally {
      clearTimeout(timer);
    }
    this.#client = client;
    this.#pauseMs = firstPauseMs;
    return client;
  }

  /** Waits before the next attempt to connect: longer each time, with jitter. */
  async pause(): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, this.#pauseMs * (0.5 + Math.random() / 2)));
    this.#pauseMs = Math.min(this.#pauseMs * 2, longestPauseMs);
  }

  /** Rejects, and drops the connection, when no answer comes in time. */
  async withTimeout<Result>(answer: Promise<Result>): Promise<Result> {
    const timer = setTimeout(() => this.drop(), answerTimeoutMs);
    try {
      return await answer;
    } finally {
      clearTimeout(timer);
    }
  }

  drop(): void {
    const client = this.#client;
    this.#client = undefined;
    if (client !== undefined) destroy(client);
  }

  /**
   * Whether the transaction named by the token committed, after its answer was lost. A row with the same token is
   * put in its place: where the transaction is still running, the insert waits for its end; where it had not
   * arrived yet, it will fail on this row. So the outcome is final, never guessed.
   */
  async wasCommitted(token: string): Promise<boolean> {
    this.drop();
    for (;;) {
      try {
        const client = await this.client();
        const { rowCount } = await this.withTimeout(
          client.query(
            `insert into nowcast.feed (token, relation, row_count) values ($1, 'none', 0)
             on conflict (token) where token is not null do nothing`,
            [token],
          ),
        );
        return rowCount === 0;
      } catch (error) {
        this.drop();
        if (this.#closed) throw error;
        await this.pause();
      }
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    const client = this.#client;
    this.#client = undefined;
    await client?.end();
  }
}

/** Without a goodbye, which a dead connection would never answer. */
function destroy(client: pg.Client): void {
  (client as pg.Client & { connection: { stream: { destroy(): void } } }).connection.stream.destroy();
}
