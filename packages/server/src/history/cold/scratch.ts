import { mkdir, rm } from 'node:fs/promises';
import path from 'node:path';
import type { DuckDBBlobValue, DuckDBConnection, DuckDBDataChunk, DuckDBInstance } from '@duckdb/node-api';
import { type ColdColumn, identifier, literal } from './columns.ts';
import type { Pace } from './pace.ts';

/** Beyond it DuckDB writes to its directory. */
const memoryLimit = '256MB';

/** A DuckDB with a directory of its own, for the time of one archive, query or restore. Never loads extensions. */
export class Scratch {
  readonly directory: string;
  readonly #instance: DuckDBInstance;
  readonly #connection: DuckDBConnection;
  readonly #besides: DuckDBConnection;

  private constructor(directory: string, instance: DuckDBInstance, connections: DuckDBConnection[]) {
    this.directory = directory;
    this.#instance = instance;
    this.#connection = connections[0]!;
    this.#besides = connections[1]!;
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
    return new Scratch(directory, instance, connections);
  }

  async close(): Promise<void> {
    this.#besides.closeSync();
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

  /** What a query yields, all of it in memory. */
  async chunks(text: string): Promise<DuckDBDataChunk[]> {
    return await (await this.#connection.run(text)).fetchAllChunks();
  }

  /** The only value that a query yields, a BLOB; empty when it is null. Runs beside the other queries. */
  async bytes(text: string): Promise<Uint8Array> {
    const chunk = await (await this.#besides.run(text)).fetchChunk();
    const value = chunk?.getColumnVector(0).getItem(0) as DuckDBBlobValue | null | undefined;
    return value?.bytes ?? new Uint8Array();
  }
}
