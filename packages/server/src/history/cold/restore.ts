import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import path from 'node:path';
import type pg from 'pg';
import { StartupError } from '../../startupError.ts';
import { copyIn } from '../copyIn.ts';
import { rowsState } from './archive.ts';
import { identifier, literal } from './columns.ts';
import type { ColdPlace } from './place.ts';
import { Scratch } from './scratch.ts';
import { sha256OfFile } from './sha256.ts';

/** Attaching the day waits no longer for somebody's lock on inference_logs. */
const lockTimeoutMs = 30_000;

interface Manifest {
  readonly file: string;
  readonly rows: number;
  readonly fingerprint: string;
  readonly column_names: readonly string[];
  readonly sha256: string;
  readonly table_exists: boolean;
}

/**
 * Brings a day of the archive back into inference_logs, where it stays so many days; its summaries never left. All in
 * one transaction, which commits only when the rows are those that were archived. The file stays.
 *
 * @returns the number of rows
 * @throws StartupError when there is nothing to bring back
 */
export async function restoreDay(
  client: pg.ClientBase,
  place: ColdPlace,
  day: string,
  days: number,
  onBytes: (done: number, total: number) => void = () => undefined,
): Promise<number> {
  const manifest = await manifestOf(client, day);
  const scratch = await Scratch.open(await place.scratchDirectory());
  try {
    const source = await place.fetch(manifest.file, scratch.directory).catch(unreadable);
    if ((await sha256OfFile(source).catch(unreadable)) !== manifest.sha256) {
      throw new StartupError(
        `${place.nameOf(manifest.file)} is not the file that was written: its checksum differs. Nothing was restored.`,
      );
    }
    const csv = path.join(scratch.directory, 'rows.csv');
    const names = manifest.column_names.map(identifier).join(', ');
    await scratch.run(
      `copy (select ${names} from read_parquet(${literal(source)})) to ${literal(csv)} (format csv, header false, force_quote *)`,
    );
    const relation = `nowcast.inference_logs_${day.replaceAll('-', '')}`;
    await client.query('begin');
    try {
      await client.query(`set local lock_timeout = ${lockTimeoutMs}`);
      // Filled before it is attached: no trigger counts its rows a second time.
      await client.query('select nowcast.create_day_table($1)', [day]);
      const { size } = await stat(csv);
      await copyIn(
        client,
        `copy ${relation} (${names}) from stdin (format csv)`,
        told(createReadStream(csv), (done) => onBytes(done, size)),
      );
      const state = await rowsState(client, relation, manifest.column_names);
      if (state.rows !== manifest.rows || state.fingerprint !== manifest.fingerprint) {
        throw new Error(
          `${day} came back with other rows than were archived (${state.rows} of ${manifest.rows}, fingerprint ${state.fingerprint}); nothing was restored`,
        );
      }
      await client.query('select nowcast.create_partition($1)', [day]);
      await client.query(
        `update nowcast.cold_days set dropped_at = null, restored_until = now() + make_interval(days => $2)
         where day = $1`,
        [day, days],
      );
      await client.query('commit');
    } catch (error) {
      await client.query('rollback');
      throw error;
    }
    return manifest.rows;
  } finally {
    await scratch.close();
  }
}

async function* told(pieces: AsyncIterable<Buffer>, onBytes: (done: number) => void) {
  let done = 0;
  for await (const piece of pieces) {
    yield piece;
    done += piece.length;
    onBytes(done);
  }
}

function unreadable(error: unknown): never {
  throw new StartupError(`The archive's file cannot be read: ${(error as Error).message}.`, 1, {
    cause: error,
  });
}

async function manifestOf(client: pg.ClientBase, day: string): Promise<Manifest> {
  const { rows } = await client.query<Manifest & { rows: string }>(
    `select k.file, k.row_count as rows, k.fingerprint::text as fingerprint, k.column_names, k.sha256,
       exists (select from nowcast.day_tables() t where t.day = k.day) as table_exists
     from nowcast.cold_days k where k.day = $1`,
    [day],
  );
  const manifest = rows[0];
  if (manifest === undefined) {
    throw new StartupError(`The archive holds no ${day}: nowcast cold list shows its days.`);
  }
  if (manifest.table_exists) throw new StartupError(`The rows of ${day} are in PostgreSQL already.`);
  return { ...manifest, rows: Number(manifest.rows) };
}
