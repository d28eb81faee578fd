import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createWriteStream, type WriteStream } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { createGzip, type Gzip } from 'node:zlib';
import type pg from 'pg';
import { StartupError } from '../../startupError.ts';
import { identifier } from '../cold/columns.ts';
import { copyOut } from '../copyOut.ts';
import { type BackupEnd, type BackupHeader, type BackupSection, formatVersion } from './format.ts';
import { ownTables } from './tables.ts';

const pieceBytes = 1024 * 1024;
/** The fastest: the archive of years is Parquet, a backup is made often and read seldom. */
const gzipLevel = 1;

/**
 * Writes everything that Nowcast stores, as of one moment, into one file: it appears under its name once it is whole
 * and on disk. Works while Nowcast runs, and the file fits every later PostgreSQL and Nowcast.
 *
 * @returns the number of rows
 */
export async function writeBackup(
  client: pg.ClientBase,
  file: string,
  onRows: (rows: number, expected: number) => void = () => undefined,
): Promise<number> {
  const partial = `${file}.partial`;
  const output = new BackupFile(partial);
  try {
    await client.query('begin isolation level repeatable read read only');
    try {
      const tables = await ownTables(client);
      const days = await dayTables(client);
      const expected = await expectedRows(client, [
        ...tables.map(({ name }) => name),
        ...days.map((day) => day.relation),
      ]);
      const { rows: migrations } = await client.query<{ name: string }>(
        `select name from nowcast.migrations where name <> 'interface' order by name`,
      );
      const header: BackupHeader = {
        nowcast_backup: formatVersion,
        created_at: new Date().toISOString(),
        migrations: migrations.map(({ name }) => name),
        tables: tables.map(({ name }) => name),
      };
      await output.line(header);
      let rows = 0;
      const section = async (head: BackupSection, relation: string) => {
        await output.line(head);
        const copied = await copyOut(
          client,
          `copy (select ${head.columns.map(identifier).join(', ')} from ${relation}) to stdout`,
          pieceBytes,
          (piece) => output.data(piece),
        );
        await output.line({ bytes: 0 });
        rows += copied;
        onRows(copied, expected);
      };
      for (const { name, columns } of tables) await section({ table: name, columns }, name);
      for (const { day, relation, columns } of days) await section({ day, columns }, relation);
      await output.end(await sequences(client), rows);
      await rename(partial, file);
      return rows;
    } finally {
      await client.query('rollback');
    }
  } catch (error) {
    await output.discard();
    throw error;
  }
}

async function dayTables(client: pg.ClientBase) {
  const { rows } = await client.query<{ day: string; relation: string; columns: string[] }>(
    `select to_char(t.day, 'YYYY-MM-DD') as day, t.relation::text as relation,
       (select array_agg(a.attname::text order by a.attnum) from pg_attribute a
        where a.attrelid = t.relation and a.attnum > 0 and not a.attisdropped) as columns
     from nowcast.day_tables() t order by t.day`,
  );
  return rows;
}

async function expectedRows(client: pg.ClientBase, relations: readonly string[]): Promise<number> {
  const { rows } = await client.query<{ expected: number }>(
    'select coalesce(sum(nowcast.estimated_rows(r)), 0)::float8 as expected from unnest($1::regclass[]) r',
    [relations],
  );
  return rows[0]!.expected;
}

/** Read after the tables: what they were given out since then is only skipped. */
async function sequences(client: pg.ClientBase): Promise<Record<string, string>> {
  const { rows } = await client.query<{ name: string; last: string }>(
    `select schemaname || '.' || sequencename as name, last_value as last from pg_sequences
     where schemaname in ('public', 'nowcast') and last_value is not null order by 1`,
  );
  return Object.fromEntries(rows.map(({ name, last }) => [name, last]));
}

class BackupFile {
  readonly #path: string;
  readonly #gzip: Gzip;
  readonly #file: WriteStream;
  readonly #hash = createHash('sha256');
  #failure: Error | undefined;

  constructor(path: string) {
    this.#path = path;
    this.#gzip = createGzip({ level: gzipLevel });
    // Keys are stored hashed, and yet it is everything.
    this.#file = createWriteStream(path, { mode: 0o600, flush: true });
    const failed = (error: Error) => {
      this.#failure ??= error;
      // Whoever waits for room hears of it.
      this.#gzip.destroy(error);
    };
    this.#file.on('error', (error) =>
      failed(new StartupError(`The backup cannot be written: ${error.message}.`, 1, { cause: error })),
    );
    this.#gzip.on('error', failed);
    this.#gzip.pipe(this.#file);
  }

  async line(value: object): Promise<void> {
    await this.#write(Buffer.from(`${JSON.stringify(value)}\n`));
  }

  async data(piece: Buffer): Promise<void> {
    await this.line({ bytes: piece.length });
    await this.#write(piece);
  }

  async end(sequences: Record<string, string>, rows: number): Promise<void> {
    const end: BackupEnd = { sequences, rows, sha256: this.#hash.copy().digest('hex') };
    await this.line(end);
    const written = once(this.#file, 'close').catch((error: unknown) => {
      throw this.#failure ?? error;
    });
    this.#gzip.end();
    await written;
    if (this.#failure !== undefined) throw this.#failure;
    const handle = await open(this.#path, 'r');
    await handle.sync().finally(() => handle.close());
  }

  async discard(): Promise<void> {
    this.#gzip.destroy();
    this.#file.destroy();
    await rm(this.#path, { force: true });
  }

  async #write(bytes: Buffer): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    this.#hash.update(bytes);
    if (!this.#gzip.write(bytes)) await once(this.#gzip, 'drain');
  }
}
