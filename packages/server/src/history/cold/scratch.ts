import { createHash } from 'node:crypto';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { DuckDBConnection, DuckDBInstance } from '@duckdb/node-api';
import type pg from 'pg';
import { copyOut } from '../copyOut.ts';
import { type ColdColumn, identifier, literal } from './columns.ts';

/** Large enough for DuckDB to read at full speed, small enough for a small machine: two of them are in memory. */
const pieceBytes = 16 * 2 ** 20;
/** Beyond it DuckDB writes to its directory. */
const memoryLimit = '256MB';
/** The longest row that is read back: text fields of 64 kB each, and room for what other doors let in. */
const maxLineBytes = 32 * 2 ** 20;

/** Beside live traffic: one thread, and longer pauses than work. */
export type Pace = 'full' | 'gentle';
const gentlePauses = 3;

/** A DuckDB with a directory of its own, for the time of one archive, query or restore. Never loads extensions. */
export class Scratch {
  readonly directory: string;
  readonly #instance: DuckDBInstance;
  readonly #connection: DuckDBConnection;
  /** Checks a piece while the first one stores it. */
  readonly #checking: DuckDBConnection;
  readonly #pace: Pace;
  #pieces = 0;

  private constructor(
    directory: string,
    instance: DuckDBInstance,
    connections: DuckDBConnection[],
    pace: Pace,
  ) {
    this.directory = directory;
    this.#pace = pace;
    this.#instance = instance;
    this.#connection = connections[0]!;
    this.#checking = connections[1]!;
  }

  /** @param directory is made anew, and removed by `close()` */
  static async open(directory: string, pace: Pace = 'full'): Promise<Scratch> {
    await rm(directory, { recursive: true, force: true });
    await mkdir(directory, { recursive: true, mode: 0o700 });
    // Loaded here only: the library is 60 MB, and most commands do without.
    const { DuckDBInstance } = await import('@duckdb/node-api');
    const instance = await DuckDBInstance.create(path.join(directory, 'scratch.duckdb'), {
      memory_limit: memoryLimit,
      temp_directory: path.join(directory, 'spill'),
      threads: pace === 'gentle' ? '1' : '2',
      autoinstall_known_extensions: 'false',
      autoload_known_extensions: 'false',
    });
    const connections = [await instance.connect(), await instance.connect()];
    await connections[0]!.run(`set global timezone = 'UTC'`);
    return new Scratch(directory, instance, connections, pace);
  }

  async close(): Promise<void> {
    this.#checking.closeSync();
    this.#connection.closeSync();
    this.#instance.closeSync();
    await rm(this.directory, { recursive: true, force: true });
  }

  async run(text: string): Promise<void> {
    await this.#connection.run(text);
  }

  async one<Row>(text: string): Promise<Row> {
    const reader = await this.#connection.runAndReadAll(text);
    return reader.getRowObjectsJson()[0] as Row;
  }

  /** Whether a text is one statement that only reads. Its tables need not exist. @throws when it is no SQL */
  async isSelect(text: string): Promise<boolean> {
    const statements = await this.#connection.extractStatements(text);
    if (statements.count !== 1) return false;
    // Its own parser, which binds nothing: tables need not be there.
    const parsed = await this.one<{ tree: string }>(`select json_serialize_sql(${literal(text)}) as tree`);
    return (JSON.parse(parsed.tree) as { error: boolean }).error === false;
  }

  /** From here on queries open no other files, load nothing and change no setting. */
  async confine(files: readonly string[]): Promise<void> {
    await this.run(`set allowed_paths = [${files.map(literal).join(', ')}]`);
    await this.run('set enable_external_access = false');
    await this.run('set lock_configuration = true');
  }

  /** The user's own query, read piece by piece. */
  async stream(text: string) {
    return await this.#connection.stream(text);
  }

  async makeTable(table: string, columns: readonly ColdColumn[]): Promise<void> {
    const typed = columns.map(({ name, duckType }) => `${identifier(name)} ${duckType}`);
    await this.run(`create table ${table} (${typed.join(', ')})`);
  }

  /**
   * Appends what a query of PostgreSQL yields, in its order and in bounded memory. What DuckDB has read of each piece is
   * written as CSV again and compared with what PostgreSQL sent.
   *
   * @param query its columns must be `columns`
   * @returns the number of rows as PostgreSQL counted them
   * @throws when a piece was not read as it was sent
   */
  async append(
    client: pg.ClientBase,
    query: string,
    table: string,
    columns: readonly ColdColumn[],
    onRows: (rows: number) => void = () => undefined,
  ): Promise<number> {
    // With every value quoted, what stands for null is unmistakable, and there is one way to write a row.
    const text = `copy (${query}) to stdout (format csv, force_quote *)`;
    return await copyOut(client, text, pieceBytes, async (piece) => {
      const startedAt = performance.now();
      onRows(await this.#appendPiece(piece, table, columns));
      if (this.#pace === 'gentle') await delay((performance.now() - startedAt) * gentlePauses);
    });
  }

  async #appendPiece(piece: Buffer, table: string, columns: readonly ColdColumn[]): Promise<number> {
    this.#pieces += 1;
    const file = path.join(this.directory, `${this.#pieces}.csv`);
    await writeFile(file, piece);
    const [read, stored] = await Promise.all([
      this.#checking.runAndReadAll(
        `select md5(string_agg(${csvLine(columns)}, '\n') || '\n') from ${readCsv(file, columns, () => 'VARCHAR')}`,
      ),
      this.#connection.run(
        `insert into ${table} select * from ${readCsv(file, columns, ({ duckType }) => duckType)}`,
      ),
    ]);
    if (read.getRowsJson()[0]![0] !== createHash('md5').update(piece).digest('hex')) {
      throw new Error('DuckDB did not read the rows as PostgreSQL sent them');
    }
    await rm(file);
    return stored.rowsChanged;
  }
}

function readCsv(file: string, columns: readonly ColdColumn[], typeOf: (column: ColdColumn) => string) {
  const types = columns.map((column) => `${literal(column.name)}: ${literal(typeOf(column))}`);
  // In parallel a line end inside a value may be taken for a row's.
  return `read_csv(${literal(file)}, header = false, auto_detect = false, delim = ',', quote = '"', escape = '"',
    nullstr = '', allow_quoted_nulls = false, new_line = '\\n', parallel = false, max_line_size = ${maxLineBytes},
    buffer_size = ${maxLineBytes}, columns = {${types.join(', ')}})`;
}

/** The line that PostgreSQL sent, from the texts of a row. */
function csvLine(columns: readonly ColdColumn[]): string {
  const values = columns.map(({ name, duckType }) => {
    const text = duckType === 'VARCHAR' ? `replace(${identifier(name)}, '"', '""')` : identifier(name);
    // Null makes the whole term null, which concat() leaves out.
    return `'"' || ${text} || '"'`;
  });
  return `concat(${values.join(`, ',', `)})`;
}
