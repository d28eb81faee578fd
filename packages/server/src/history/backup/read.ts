import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { createGunzip } from 'node:zlib';
import type pg from 'pg';
import { StartupError } from '../../startupError.ts';
import { identifier } from '../cold/columns.ts';
import { copyIn } from '../copyIn.ts';
import { type BackupEnd, type BackupHeader, type BackupSection, formatVersion } from './format.ts';
import { ownTables } from './tables.ts';

const maxLineBytes = 1024 * 1024;

/**
 * Fills an empty, migrated database from a backup: everything in one transaction, which commits only when the file was
 * whole.
 *
 * @returns the number of rows
 * @throws StartupError when the database is not empty or the file is none of ours, or damaged
 */
export async function readBackup(
  client: pg.ClientBase,
  file: string,
  onBytes: (done: number) => void = () => undefined,
): Promise<number> {
  const input = new BackupReader(file, onBytes);
  await client.query('begin');
  try {
    const header = await input.json<BackupHeader>();
    await assertFits(client, header);
    await assertEmpty(client);
    const own = new Map((await ownTables(client)).map(({ name, columns }) => [name, columns]));
    // Whatever notifies or counts did so when the rows were first written. The figures of buckets are made anew.
    const quiet = [...own.keys()].filter((name) => name !== 'nowcast.model_summaries');
    for (const name of quiet) await client.query(`alter table ${name} disable trigger user`);
    // What migrations put into tables is in the backup as it was then.
    for (const name of [...header.tables].reverse())
      if (own.has(name)) await client.query(`delete from ${name}`);
    let rows = 0;
    for (;;) {
      const next = await input.json<BackupSection | BackupEnd>();
      if ('sha256' in next) {
        if (next.sha256 !== input.sha256BeforeLine || next.rows !== rows) throw damaged(file);
        await setSequences(client, next.sequences);
        break;
      }
      const copied =
        'day' in next ? await readDay(client, next, input) : await readTable(client, next, own, input);
      rows += copied;
    }
    for (const name of quiet) await client.query(`alter table ${name} enable trigger user`);
    await client.query('commit');
    return rows;
  } catch (error) {
    await client.query('rollback');
    if (error instanceof StartupError) throw error;
    const { code } = error as { code?: string };
    if (code === 'ENOENT' || code === 'EACCES' || code === 'EISDIR')
      throw new StartupError(`${file} cannot be read (${code}).`, 1, { cause: error });
    if (code?.startsWith('Z_') === true || error instanceof SyntaxError) throw damaged(file, error);
    throw error;
  } finally {
    input.close();
  }
}

async function assertFits(client: pg.ClientBase, header: BackupHeader): Promise<void> {
  if (header.nowcast_backup !== formatVersion) {
    throw new StartupError(
      'The file is no backup of Nowcast, or one of a newer version: nothing was restored.',
    );
  }
  const { rows } = await client.query<{ missing: string }>(
    `select m as missing from unnest($1::text[]) m where m not in (select name from nowcast.migrations) order by 1 limit 1`,
    [header.migrations],
  );
  if (rows.length > 0) {
    throw new StartupError(
      `The backup was made by a newer Nowcast (it knows ${rows[0]!.missing}): restore it with that version or a later one.`,
    );
  }
}

async function assertEmpty(client: pg.ClientBase): Promise<void> {
  const { rows } = await client.query<{ used: boolean }>(
    `select exists (select from public.inference_logs) or exists (select from nowcast.minute_summaries)
       or exists (select from nowcast.summary_partials) or exists (select from nowcast.period_summaries) as used`,
  );
  if (rows[0]!.used) {
    throw new StartupError(
      'This database holds events already, and a backup is restored into an empty one: set NOWCAST_DATA_DIR to a new directory, or DATABASE_URL to an empty database.',
    );
  }
}

async function readTable(
  client: pg.ClientBase,
  { table, columns }: Extract<BackupSection, { table: string }>,
  own: ReadonlyMap<string, readonly string[]>,
  input: BackupReader,
): Promise<number> {
  if (!own.has(table)) throw new StartupError(`This Nowcast has no table ${table}: nothing was restored.`);
  return await copyIn(client, `copy ${table} (${list(columns)}) from stdin`, input.data());
}

/** Filled before it is attached: no trigger counts its rows a second time. */
async function readDay(
  client: pg.ClientBase,
  { day, columns }: Extract<BackupSection, { day: string }>,
  input: BackupReader,
): Promise<number> {
  const { rows } = await client.query<{ relation: string; attached: boolean }>(
    'select relation::text as relation, attached from nowcast.day_tables() where day = $1',
    [day],
  );
  const relation = rows[0]?.relation ?? `nowcast.inference_logs_${day.replaceAll('-', '')}`;
  if (rows[0]?.attached === true)
    await client.query(`alter table public.inference_logs detach partition ${relation}`);
  if (rows[0] === undefined) await client.query('select nowcast.create_day_table($1)', [day]);
  const copied = await copyIn(client, `copy ${relation} (${list(columns)}) from stdin`, input.data());
  await client.query('select nowcast.create_partition($1)', [day]);
  return copied;
}

async function setSequences(client: pg.ClientBase, sequences: BackupEnd['sequences']): Promise<void> {
  for (const [name, last] of Object.entries(sequences)) {
    await client.query(
      'select setval(to_regclass($1), greatest($2::bigint, 1)) where to_regclass($1) is not null',
      [name, last],
    );
  }
}

function list(columns: readonly string[]): string {
  return columns.map(identifier).join(', ');
}

function damaged(file: string, cause?: unknown): StartupError {
  return new StartupError(`${file} is damaged or no backup of Nowcast: nothing was restored.`, 1, { cause });
}

/** Reads the lines and data of a backup in turn. */
class BackupReader {
  readonly #source: AsyncIterator<Buffer>;
  readonly #close: () => void;
  readonly #file: string;
  readonly #hash = createHash('sha256');
  #rest: Buffer = Buffer.alloc(0);
  /** Of everything before the line that was read last. */
  sha256BeforeLine = '';

  /** @param onBytes hears how much of the file was read */
  constructor(file: string, onBytes: (done: number) => void) {
    this.#file = file;
    const bytes = createReadStream(file);
    bytes.on('data', () => onBytes(bytes.bytesRead));
    const text = createGunzip();
    bytes.on('error', (error) => text.destroy(error));
    // The next read rejects with it; before the first one nobody else listens.
    text.on('error', () => undefined);
    this.#source = bytes.pipe(text)[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
    this.#close = () => {
      bytes.destroy();
      text.destroy();
    };
  }

  close(): void {
    this.#close();
  }

  async json<Value>(): Promise<Value> {
    this.sha256BeforeLine = this.#hash.copy().digest('hex');
    let end = this.#rest.indexOf(10);
    while (end === -1) {
      if (this.#rest.length > maxLineBytes) throw damaged(this.#file);
      this.#rest = Buffer.concat([this.#rest, await this.#more()]);
      end = this.#rest.indexOf(10);
    }
    return JSON.parse(this.#take(end + 1).toString('utf8')) as Value;
  }

  /** The data of a section, up to its end. */
  async *data(): AsyncGenerator<Buffer> {
    for (;;) {
      let { bytes } = await this.json<{ bytes: number }>();
      if (bytes === 0) return;
      while (bytes > 0) {
        if (this.#rest.length === 0) this.#rest = await this.#more();
        const piece = this.#take(Math.min(bytes, this.#rest.length));
        bytes -= piece.length;
        yield piece;
      }
    }
  }

  #take(length: number): Buffer {
    const taken = this.#rest.subarray(0, length);
    this.#rest = this.#rest.subarray(length);
    this.#hash.update(taken);
    return taken;
  }

  async #more(): Promise<Buffer> {
    const { value, done } = await this.#source.next();
    if (done === true) throw damaged(this.#file);
    return value;
  }
}
