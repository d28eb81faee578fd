import type { Example, Question } from '../explanation.ts';
import type { Attribution, Dimension, Sums } from './attribution.ts';
import type { Query } from './bounded.ts';
import type { Cell, Cells } from './cells.ts';
import { errorPattern } from './errorPattern.ts';
import { metrics } from './metric.ts';
import type { Window, Windows } from './windows.ts';

/** Everything that reads rows: summaries know neither users nor texts. Rows are read in pieces of the window. */

export interface SlowLimits {
  /** Latency bins above which a call of the cell is slow. */
  readonly cells: readonly { model_version: string; feature: string; variant: string; bin: number }[];
  /** Of cells that are not named. */
  readonly otherBin: number;
}

/** Enough to find what holds half of a change; read in some 50 ms. */
const maxSampledRows = 20_000;
const pieces = 40;
/** Against bursts inside a piece. */
const maxRowsPerPiece = 5_000;
const maxValues = 50;
const maxCandidates = 60;
const exampleCount = 3;
/** How many events a row stands for. */
const rowWeight = '1';

interface Sample {
  readonly starts: readonly Date[];
  readonly seconds: number;
  /** Events in the window for each one in the sample. */
  readonly weight: number;
}

/** Pieces of the window that hold some 20,000 rows, whoever wrote them: the labels are looked at in each row. */
async function sampleOf(query: Query, { since, until, minutes }: Window): Promise<Sample> {
  const seconds = (until.getTime() - since.getTime()) / 1000;
  const [row] = await query<{ n: number }>(
    `select coalesce(sum(s.request_count), 0)::double precision as n from (
       select request_count from nowcast.model_summaries where tier_seconds = 60 and minute = any ($1::timestamptz[])
       union all
       select request_count from nowcast.summary_partials where minute = any ($1::timestamptz[])
     ) s`,
    [minutes],
  );
  const perSecond = row!.n / Math.max(1, minutes.length * 60);
  const share = Math.min(1, maxSampledRows / Math.max(1, perSecond * seconds));
  if (share === 1) return { starts: [since], seconds, weight: 1 };
  const step = seconds / pieces;
  return {
    starts: Array.from({ length: pieces }, (_, i) => new Date(since.getTime() + i * step * 1000)),
    seconds: step * share,
    weight: 1 / share,
  };
}

/** The sample's rows as `e` with `x`, what is measured of each. Parameters: starts, seconds, then $1 to $4. */
function sampledRows({ metric }: Question, starts: string, seconds: string): string {
  return `
    select e.model_version, coalesce(e.feature, '') as feature, coalesce(e.variant, '') as variant, e.user_id,
      e.error_message, e.is_error, e.inference_time_ms, (${rowWeight})::double precision as weight,
      (${metrics[metric].row})::double precision as x
    from unnest(${starts}::timestamptz[]) piece (starts)
    cross join lateral (
      select * from public.inference_logs l
      where l.timestamp >= piece.starts and l.timestamp < piece.starts + make_interval(secs => ${seconds})
      limit ${maxRowsPerPiece * pieces}
    ) e
    left join jsonb_to_recordset($3::jsonb) as own (model_version text, feature text, variant text, bin integer)
      on own.model_version = e.model_version and own.feature = coalesce(e.feature, '')
        and own.variant = coalesce(e.variant, '')
    cross join lateral (select coalesce(own.bin, $4::integer) as bin) limits
    where ($1::text is null or e.model_version = $1) and ($2::text is null or e.feature = $2)`;
}

const rowParameters = ({ labels }: Question, limits: SlowLimits | undefined) => [
  labels.model_version ?? null,
  labels.feature ?? null,
  JSON.stringify(limits?.cells ?? []),
  limits?.otherBin ?? 0,
];

/** The cells of a window that is too short for summaries. */
export async function readRowCells(
  query: Query,
  question: Question,
  window: Window,
  limits: SlowLimits | undefined,
): Promise<{ cells: Cell[]; p95: number | null }> {
  const sample = await sampleOf(query, window);
  const rows = await query<Cell & { model_version: string | null; p95: number | null }>(
    `with e as materialized (${sampledRows(question, '$5', '$6')})
     select e.model_version, e.feature, e.variant, ${sums('e')},
       percentile_cont(0.95) within group (order by e.inference_time_ms) as p95
     from e group by grouping sets ((e.model_version, e.feature, e.variant), ())`,
    [...rowParameters(question, limits), sample.starts, sample.seconds],
  );
  return {
    // Scaled to the window, since amounts are compared with those of summaries.
    cells: rows
      .filter((row) => row.model_version !== null)
      .map(({ model_version, feature, variant, n, sum, sumSq }) => ({
        model_version,
        feature,
        variant,
        n: n * sample.weight,
        sum: sum * sample.weight,
        sumSq: sumSq * sample.weight,
      })),
    p95: rows.find((row) => row.model_version === null)?.p95 ?? null,
  };
}

const sums = (alias: string, where = '') => `
  coalesce(sum(${alias}.weight) filter (where ${alias}.x is not null ${where}), 0)::double precision as n,
  coalesce(sum(${alias}.weight * ${alias}.x) filter (where true ${where}), 0)::double precision as sum,
  coalesce(sum(${alias}.weight * ${alias}.x * ${alias}.x) filter (where true ${where}), 0)::double precision as "sumSq"`;

interface ValueRow {
  readonly value: string | null;
  readonly is_total: boolean;
  readonly value_count: number;
  readonly before_n: number;
  readonly before_sum: number;
  readonly before_sum_sq: number;
  readonly after_n: number;
  readonly after_sum: number;
  readonly after_sum_sq: number;
}

/** The change by user and, of errors, by text. */
export async function readRowDimensions(
  query: Query,
  question: Question,
  windows: Windows,
  cells: Cells,
): Promise<Dimension[]> {
  if (question.labels.client !== undefined) return [];
  const before = await sampleOf(query, windows.before);
  const after = await sampleOf(query, windows.after);
  const isVolume = cells.measure.kind === 'volume';
  const lengths = lengthOf(windows.after) / Math.max(1, lengthOf(windows.before));
  // What a sampled event of the baseline stands for in the sample of the incident.
  const volumeScale = (lengths * before.weight) / after.weight;
  const rows = await query<ValueRow>(
    `with e as materialized (
       select false as is_after, s.* from (${sampledRows(question, '$5', '$6')}) s
       union all
       select true, s.* from (${sampledRows(question, '$7', '$8')}) s
     ),
     by_user as (
       select e.user_id as value, grouping(e.user_id) = 1 as is_total,
         ${bothSums('e')}
       from e group by grouping sets ((e.user_id), ())
     ),
     counted as (
       select u.*, count(*) over () as value_count, t.before_sum / nullif(t.before_n, 0) as usual,
         t.after_n / nullif(t.before_n, 0) as scale
       from by_user u cross join (select * from by_user where is_total) t
     )
     select c.value, c.is_total, c.value_count::integer, c.before_n, c.before_sum, c.before_sum_sq, c.after_n,
       c.after_sum, c.after_sum_sq
     from counted c where c.is_total or c.value is not null
     order by c.is_total desc, abs(
       case when $9 then c.after_sum - $10::double precision * c.before_sum
         else c.after_sum - coalesce(c.usual, 0) * c.after_n
           - coalesce(c.scale, 0) * (c.before_sum - coalesce(c.usual, 0) * c.before_n) end
     ) desc
     limit ${maxValues + 1}`,
    [
      ...rowParameters(question, cells.limits),
      before.starts,
      before.seconds,
      after.starts,
      after.seconds,
      isVolume,
      volumeScale,
    ],
  );
  const whole = rows.find(({ is_total }) => is_total);
  if (whole === undefined) return [];
  const total = sidesOf(whole);
  const users: Dimension = {
    name: 'user_id',
    measure: isVolume ? { kind: 'volume', scale: volumeScale } : cells.measure,
    total,
    slices: rows
      .filter(({ is_total, value }) => !is_total && value !== null)
      .map((row) => ({ value: row.value!, ...sidesOf(row) })),
    valueCount: whole.value_count,
    weight: after.weight,
  };
  if (question.metric !== 'error_rate') return [users];
  return [users, await readErrorTexts(query, question, { before, after, total })];
}

const lengthOf = ({ since, until }: Window) => (until.getTime() - since.getTime()) / 1000;

const bothSums = (alias: string) =>
  (['before', 'after'] as const)
    .map((side) =>
      sums(alias, `and ${side === 'after' ? '' : 'not '}${alias}.is_after`)
        .replace(' as n,', ` as ${side}_n,`)
        .replace(' as sum,', ` as ${side}_sum,`)
        .replace(' as "sumSq"', ` as ${side}_sum_sq`),
    )
    .join(', ');

function sidesOf(row: ValueRow): { before: Sums; after: Sums } {
  return {
    before: { n: row.before_n, sum: row.before_sum, sumSq: row.before_sum_sq },
    after: { n: row.after_n, sum: row.after_sum, sumSq: row.after_sum_sq },
  };
}

/** Errors by text, numbers and ids in it taken out: how many of each there were, for as many calls. */
async function readErrorTexts(
  query: Query,
  question: Question,
  { before, after, total }: { before: Sample; after: Sample; total: Dimension['total'] },
): Promise<Dimension> {
  const rows = await query<{ text: string; before: number; after: number }>(
    `with e as materialized (
       select false as is_after, s.* from (${sampledRows(question, '$5', '$6')}) s
       union all
       select true, s.* from (${sampledRows(question, '$7', '$8')}) s
     )
     select left(e.error_message, 300) as text,
       coalesce(sum(e.weight) filter (where not e.is_after), 0)::double precision as before,
       coalesce(sum(e.weight) filter (where e.is_after), 0)::double precision as after
     from e where e.is_error and e.error_message is not null
     group by 1 order by 3 desc, 2 desc limit 2000`,
    [...rowParameters(question, undefined), before.starts, before.seconds, after.starts, after.seconds],
  );
  const byPattern = new Map<string, { before: number; after: number }>();
  for (const row of rows) {
    const pattern = errorPattern(row.text);
    const known = byPattern.get(pattern) ?? { before: 0, after: 0 };
    byPattern.set(pattern, { before: known.before + row.before, after: known.after + row.after });
  }
  const counted = (n: number) => ({ n, sum: n, sumSq: n });
  return {
    name: 'error_message',
    measure: { kind: 'volume', scale: total.before.n === 0 ? 0 : total.after.n / total.before.n },
    total: { before: counted(total.before.sum), after: counted(total.after.sum) },
    slices: [...byPattern].map(([value, sides]) => ({
      value,
      before: counted(sides.before),
      after: counted(sides.after),
    })),
    valueCount: byPattern.size,
    weight: after.weight,
  };
}

/** Three bad events of the cause, as different as there are. */
export async function readExamples(
  query: Query,
  question: Question,
  cells: Cells | undefined,
  cause: Attribution | undefined,
): Promise<Example[]> {
  // Of calls that did not come there are no examples.
  if (cells === undefined || question.metric === 'traffic') return [];
  const column = cause !== undefined && cause.dimension !== 'client' ? cause.dimension : undefined;
  const isPattern = column === 'error_message';
  const { condition, order } = badRows(question, cells);
  const rows = await query<Example & { id: string }>(
    `select e.id::text, to_json(e.timestamp) #>> '{}' as timestamp, e.model_version, e.inference_time_ms,
       coalesce(e.is_error, false) as is_error, left(e.error_message, 500) as error_message, e.trace_id, e.feature,
       e.user_id
     from (
       select * from public.inference_logs l
       where l.timestamp >= $5 and l.timestamp < $6 ${question.metric === 'error_rate' ? 'and l.is_error' : ''}
       order by l.timestamp desc limit ${maxSampledRows}
     ) e
     left join jsonb_to_recordset($3::jsonb) as own (model_version text, feature text, variant text, bin integer)
       on own.model_version = e.model_version and own.feature = coalesce(e.feature, '')
         and own.variant = coalesce(e.variant, '')
     cross join lateral (select coalesce(own.bin, $4::integer) as bin) limits
     where ($1::text is null or e.model_version = $1) and ($2::text is null or e.feature = $2)
       and (${condition}) ${column === undefined || isPattern ? 'and $7::text is null' : `and e.${column} = $7`}
     order by ${order} limit ${isPattern ? maxSampledRows : maxCandidates}`,
    [
      ...rowParameters(question, cells.limits),
      question.since,
      question.until,
      isPattern ? null : (cause?.value ?? null),
    ],
  );
  const matching = isPattern
    ? rows.filter(({ error_message }) => errorPattern(error_message ?? '') === cause?.value)
    : rows;
  return distinct(matching);
}

function badRows({ metric }: Question, { total }: Cells): { condition: string; order: string } {
  const rises = total.before.n > 0 && total.after.sum / total.after.n > total.before.sum / total.before.n;
  const x = metrics[metric].row;
  if (metric === 'error_rate') return { condition: 'true', order: 'e.timestamp desc' };
  if (metric === 'latency') return { condition: `${x} = 1`, order: 'e.inference_time_ms desc' };
  return { condition: `(${x}) is not null`, order: `(${x}) ${rises ? 'desc' : 'asc'}` };
}

function distinct(rows: readonly Example[]): Example[] {
  const chosen: Example[] = [];
  const kinds = new Set<string>();
  const kindOf = (row: Example) =>
    JSON.stringify([errorPattern(row.error_message ?? ''), row.model_version, row.feature, row.user_id]);
  for (const row of rows) {
    if (chosen.length === exampleCount) break;
    if (kinds.has(kindOf(row))) continue;
    kinds.add(kindOf(row));
    chosen.push(row);
  }
  // Where all are alike, others of the same kind do.
  for (const row of rows) {
    if (chosen.length === exampleCount) break;
    if (!chosen.includes(row)) chosen.push(row);
  }
  return chosen;
}
