import type pg from 'pg';
import { madeByMigrations } from './backup/tables.ts';
import { dueDays } from './retention.ts';

export interface Diagnosis {
  readonly database: {
    readonly version: string;
    readonly bytes: number;
    /** Since when PostgreSQL counts scans. */
    readonly scans_since: string | null;
  };
  readonly tables: readonly TableSize[];
  readonly indexes: readonly IndexUse[];
  readonly events: {
    readonly rows: number;
    readonly days: number;
    /** Of rows with their indexes. */
    readonly row_bytes: number;
    /** Of all summaries, which outlive the rows. */
    readonly summary_bytes: number;
    readonly bytes_per_event: number | null;
    readonly archived_days: number;
    readonly archived_bytes_per_event: number | null;
  };
  readonly savings: readonly { readonly what: string; readonly bytes: number }[];
  readonly notes: readonly string[];
}

export interface TableSize {
  readonly table: string;
  readonly rows: number;
  readonly heap_bytes: number;
  readonly index_bytes: number;
  readonly toast_bytes: number;
}

interface IndexUse {
  readonly table: string;
  readonly index: string;
  readonly definition: string;
  readonly bytes: number;
  readonly scans: number;
}

/** Partitions of inference_logs count as the one table that they are for whoever asks. */
const tableName = `case when c.relname ~ '^inference_logs_\\d{8}$' and n.nspname = 'nowcast' then 'inference_logs (days)'
  when n.nspname = 'public' then c.relname else n.nspname || '.' || c.relname end`;
const summaryTables = [
  'nowcast.summary_partials',
  'nowcast.summary_merges',
  'nowcast.minute_summaries',
  'nowcast.unkept_partials',
  'nowcast.unkept_minutes',
  'nowcast.model_summaries',
  'nowcast.bucket_figures',
  'nowcast.period_summaries',
];

/** Looks at what is stored and what it costs; changes nothing. */
export async function diagnose(pool: pg.Pool, hotDays: number): Promise<Diagnosis> {
  const [database] = await rowsOf<{ version: string; bytes: string; scans_since: string | null }>(
    pool,
    `select current_setting('server_version') as version, pg_database_size(current_database()) as bytes,
       to_char(coalesce(stats_reset, pg_postmaster_start_time()), 'YYYY-MM-DD HH24:MI') as scans_since
     from pg_stat_database where datname = current_database()`,
  );
  const tables = await tableSizes(pool);
  const days = tables.find(({ table }) => table === 'inference_logs (days)');
  const summaryBytes = tables
    .filter(({ table }) => summaryTables.includes(table))
    .reduce((sum, table) => sum + totalBytes(table), 0);
  const [held] = await rowsOf<{ days: number }>(
    pool,
    'select count(*)::int as days from nowcast.day_tables() t where nowcast.estimated_rows(t.relation) > 0',
  );
  const [cold] = await rowsOf<{ days: number; bytes: string; rows: string }>(
    pool,
    `select count(*)::int as days, coalesce(sum(bytes), 0) as bytes, coalesce(sum(row_count), 0) as rows
     from nowcast.cold_days`,
  );
  const rowBytes = days === undefined ? 0 : totalBytes(days);
  const rows = days?.rows ?? 0;
  return {
    database: { ...database!, bytes: Number(database!.bytes) },
    tables,
    indexes: await indexUse(pool),
    events: {
      rows,
      days: held!.days,
      row_bytes: rowBytes,
      summary_bytes: summaryBytes,
      bytes_per_event: rows === 0 ? null : (rowBytes + summaryBytes) / rows,
      archived_days: cold!.days,
      archived_bytes_per_event: Number(cold!.rows) === 0 ? null : Number(cold!.bytes) / Number(cold!.rows),
    },
    savings: await savings(pool, hotDays),
    notes: await notes(pool),
  };
}

async function tableSizes(pool: pg.Pool): Promise<TableSize[]> {
  const rows = await rowsOf<Record<keyof TableSize, string>>(
    pool,
    `select ${tableName} as table, sum(nowcast.estimated_rows(c.oid)) as rows,
       sum(pg_relation_size(c.oid)) as heap_bytes, sum(pg_indexes_size(c.oid)) as index_bytes,
       sum(coalesce(pg_total_relation_size(nullif(c.reltoastrelid, 0)), 0)) as toast_bytes
     from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where c.relkind = 'r' and n.nspname in ('public', 'nowcast')
     group by 1 order by sum(pg_total_relation_size(c.oid)) desc, 1`,
  );
  return rows.map((row) => ({
    table: row.table,
    rows: Number(row.rows),
    heap_bytes: Number(row.heap_bytes),
    index_bytes: Number(row.index_bytes),
    toast_bytes: Number(row.toast_bytes),
  }));
}

async function indexUse(pool: pg.Pool): Promise<IndexUse[]> {
  const rows = await rowsOf<Record<keyof IndexUse, string>>(
    pool,
    `select ${tableName} as table, min(i.relname) as index, what.definition,
       sum(pg_relation_size(i.oid)) as bytes, sum(coalesce(s.idx_scan, 0)) as scans
     from pg_index x join pg_class c on c.oid = x.indrelid join pg_class i on i.oid = x.indexrelid
     join pg_namespace n on n.oid = c.relnamespace
     left join pg_stat_all_indexes s on s.indexrelid = i.oid
     cross join lateral (select case when x.indisprimary then 'primary key ' when x.indisunique then 'unique ' else '' end
       || substring(pg_get_indexdef(i.oid) from 'USING (.*)$') as definition) what
     where c.relkind = 'r' and n.nspname in ('public', 'nowcast')
     group by 1, what.definition order by sum(pg_relation_size(i.oid)) desc, 1, 3`,
  );
  return rows.map((row) => ({ ...row, bytes: Number(row.bytes), scans: Number(row.scans) }));
}

async function savings(pool: pg.Pool, hotDays: number): Promise<{ what: string; bytes: number }[]> {
  const due = await dueDays(pool, hotDays);
  const found = [
    {
      what: `nowcast retention run: ${due.length} days of rows older than ${hotDays} days`,
      bytes: due.reduce((sum, day) => sum + day.bytes, 0),
    },
  ];
  for (const fewer of [Math.floor(hotDays / 2), 7]) {
    if (fewer >= hotDays || fewer < 1) continue;
    const gone = await dueDays(pool, fewer);
    found.push({
      what: `NOWCAST_HOT_DAYS=${fewer}: ${gone.length} days of rows`,
      bytes: gone.reduce((sum, day) => sum + day.bytes, 0),
    });
  }
  return found;
}

async function notes(pool: pg.Pool): Promise<string[]> {
  const found: string[] = [];
  const [over] = await rowsOf<{ minutes: string; events: string | null }>(
    pool,
    `select count(*) as minutes, sum(events) as events from nowcast.key_overflows
     where minute > now() - interval '24 hours'`,
  );
  if (over!.events !== null) {
    found.push(
      `In ${over!.minutes} minutes of the last 24 hours there were more models, features and variants than are kept apart: ${over!.events} events stand under __other__. Does somebody send an id as a feature?`,
    );
  }
  const triggers = await rowsOf<{ name: string; per_row: boolean }>(
    pool,
    `select t.tgname as name, t.tgtype & 1 = 1 as per_row
     from pg_trigger t join pg_proc p on p.oid = t.tgfoid
     where t.tgrelid = 'public.inference_logs'::regclass and not t.tgisinternal
       and p.pronamespace <> 'nowcast'::regnamespace order by 1`,
  );
  for (const { name, per_row } of triggers) {
    found.push(
      per_row
        ? `Trigger ${name} on inference_logs fires for every event, inside the transaction that stores it: what it takes, every sender waits for.`
        : `Trigger ${name} on inference_logs is a statement trigger: it sees what is inserted by SQL, and nothing of what comes by HTTP, which is written into the day's partition. Make it FOR EACH ROW to see both.`,
    );
  }
  const indexes = await rowsOf<{ name: string }>(
    pool,
    `select i.relname as name from pg_index x join pg_class i on i.oid = x.indexrelid
     where x.indrelid = 'public.inference_logs'::regclass
       and not x.indisprimary and i.relname <> all ($1) order by 1`,
    [await madeByMigrations('index')],
  );
  for (const { name } of indexes) {
    found.push(
      `Index ${name} on inference_logs is not Nowcast's: every event pays for it (docs/storage.md has figures).`,
    );
  }
  const open = await rowsOf<{ pid: number; application: string; minutes: number }>(
    pool,
    `select pid, coalesce(nullif(application_name, ''), 'unnamed') as application,
       (extract(epoch from now() - xact_start) / 60)::int as minutes
     from pg_stat_activity where datname = current_database() and xact_start < now() - interval '10 minutes' and pid <> pg_backend_pid()`,
  );
  for (const { pid, application, minutes } of open) {
    found.push(
      `Process ${pid} (${application}) has had a transaction open for ${minutes} minutes: until it ends nothing deleted since then is freed, and retention waits.`,
    );
  }
  const leftover = await rowsOf<{ day: string }>(
    pool,
    `select to_char(day, 'YYYY-MM-DD') as day from nowcast.day_tables() where not attached order by 1`,
  );
  for (const { day } of leftover) {
    found.push(
      `The rows of ${day} are detached from inference_logs by an interrupted retention: the next one goes on.`,
    );
  }
  return found;
}

export function totalBytes(table: TableSize): number {
  return table.heap_bytes + table.index_bytes + table.toast_bytes;
}

async function rowsOf<Row extends pg.QueryResultRow>(
  pool: pg.Pool,
  text: string,
  values: unknown[] = [],
): Promise<Row[]> {
  return (await pool.query<Row>(text, values)).rows;
}
