import type { Question } from '../explanation.ts';
import type { Dimension, Sums } from './attribution.ts';
import type { Query } from './bounded.ts';
import type { Cell, Cells } from './cells.ts';
import { errorTexts } from './errorTexts.ts';
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
export const maxSampledRows = 20_000;
const pieces = 40;
/** Against bursts: the pieces together never hold more. */
const maxBurstRows = 4 * maxSampledRows;
const maxValues = 50;
const maxTexts = 2_000;
const maxTextLength = 300;
/** How many events a row stands for: ordinary ones may be sampled. */
const rowWeight = 'coalesce(e.sample_weight, 1)';

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

/** Joins what counts as slow in the cell of row `e`. */
export const limitsOfRow = `left join jsonb_to_recordset($3::jsonb) as own (model_version text, feature text, variant text, bin integer)
      on own.model_version = e.model_version and own.feature = coalesce(e.feature, '')
        and own.variant = coalesce(e.variant, '')
    cross join lateral (select coalesce(own.bin, $4::integer) as bin) limits`;

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
      limit (${maxBurstRows} / cardinality(${starts}::timestamptz[]))
    ) e
    ${limitsOfRow}
    where ($1::text is null or e.model_version = $1) and ($2::text is null or e.feature = $2)`;
}

export const rowParameters = ({ labels }: Question, limits: SlowLimits | undefined) => [
  labels.model_version ?? null,
  labels.feature ?? null,
  JSON.stringify(limits?.cells ?? []),
  limits?.otherBin ?? 0,
];

interface CellRow {
  /** Null in the row of all cells together. */
  readonly model_version: string | null;
  readonly feature: string;
  readonly variant: string;
  readonly n: number;
  readonly sum: number;
  readonly sum_sq: number;
  readonly p95: number | null;
}

/** The cells of a window that is too short for summaries. */
export async function readRowCells(
  query: Query,
  question: Question,
  window: Window,
  limits: SlowLimits | undefined,
): Promise<{ cells: Cell[]; p95: number | null }> {
  const sample = await sampleOf(query, window);
  const rows = await query<CellRow>(
    `with e as materialized (${sampledRows(question, '$5', '$6')})
     select e.model_version, e.feature, e.variant, ${sums('', 'true')}, (
         select r.inference_time_ms from (
           select o.inference_time_ms, sum(o.weight) over (order by o.inference_time_ms) as below,
             sum(o.weight) over () as whole
           from e o
         ) r where r.below >= 0.95 * r.whole order by r.inference_time_ms limit 1
       ) as p95
     from e group by grouping sets ((e.model_version, e.feature, e.variant), ())`,
    [...rowParameters(question, limits), sample.starts, sample.seconds],
  );
  return {
    // Scaled to the window, since amounts are compared with those of summaries.
    cells: rows
      .filter((row) => row.model_version !== null)
      .map(({ model_version, feature, variant, n, sum, sum_sq }) => ({
        model_version: model_version!,
        feature,
        variant,
        n: n * sample.weight,
        sum: sum * sample.weight,
        sumSq: sum_sq * sample.weight,
      })),
    p95: rows.find((row) => row.model_version === null)?.p95 ?? null,
  };
}

/** Sums of rows `e` that satisfy a condition, as columns whose names begin with the prefix. */
const sums = (prefix: string, condition: string) => `
  coalesce(sum(e.weight) filter (where e.x is not null and ${condition}), 0)::double precision as ${prefix}n,
  coalesce(sum(e.weight * e.x) filter (where ${condition}), 0)::double precision as ${prefix}sum,
  coalesce(sum(e.weight * e.x * e.x) filter (where ${condition}), 0)::double precision as ${prefix}sum_sq`;

interface ValueRow {
  readonly kind: 'total' | 'user' | 'text';
  readonly value: string | null;
  readonly value_count: number;
  readonly before_n: number;
  readonly before_sum: number;
  readonly before_sum_sq: number;
  readonly after_n: number;
  readonly after_sum: number;
  readonly after_sum_sq: number;
  readonly spread: number;
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
  const hasTexts = question.metric === 'error_rate';
  const rows = await query<ValueRow>(
    `with e as materialized (
       select false as is_after, s.* from (${sampledRows(question, '$5', '$6')}) s
       union all
       select true, s.* from (${sampledRows(question, '$7', '$8')}) s
     ),
     by_user as (
       select e.user_id as value, grouping(e.user_id) = 1 as is_total,
         ${sums('before_', 'not e.is_after')}, ${sums('after_', 'e.is_after')},
         greatest(1, coalesce(sum((e.weight * e.x) ^ 2) filter (where e.is_after)
           / nullif(sum(e.weight * e.x ^ 2) filter (where e.is_after), 0), 1)) as spread
       from e group by grouping sets ((e.user_id), ())
     ),
     counted as (
       select u.*, count(*) over () as value_count, t.before_sum / nullif(t.before_n, 0) as usual,
         t.after_n / nullif(t.before_n, 0) as scale
       from by_user u cross join (select * from by_user where is_total) t
     ),
     users as (
       select case when c.is_total then 'total' else 'user' end as kind, c.value, c.value_count::integer, c.before_n,
         c.before_sum, c.before_sum_sq, c.after_n, c.after_sum, c.after_sum_sq, c.spread
       from counted c where c.is_total or c.value is not null
       order by c.is_total desc, abs(
         case when $9 then c.after_sum - $10::double precision * c.before_sum
           else c.after_sum - coalesce(c.usual, 0) * c.after_n
             - coalesce(c.scale, 0) * (c.before_sum - coalesce(c.usual, 0) * c.before_n) end
       ) desc
       limit ${maxValues + 1}
     ),
     texts as (
       select 'text', left(e.error_message, ${maxTextLength}), 0, ${sums('before_', 'not e.is_after')},
         ${sums('after_', 'e.is_after')}, 1
       from e where ${hasTexts} and e.is_error and e.error_message is not null
       group by 2 order by 7 desc, 4 desc limit ${maxTexts}
     )
     select * from users union all select * from texts`,
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
  const whole = rows.find(({ kind }) => kind === 'total');
  if (whole === undefined) return [];
  const total = sidesOf(whole);
  const users: Dimension = {
    name: 'user_id',
    measure: isVolume ? { kind: 'volume', scale: volumeScale } : cells.measure,
    total,
    slices: rows.filter(({ kind }) => kind === 'user').map((row) => ({ value: row.value!, ...sidesOf(row) })),
    valueCount: whole.value_count,
    weight: after.weight,
    spread: whole.spread,
  };
  if (!hasTexts) return [users];
  const texts = rows.flatMap(({ kind, value, before_n, after_n }) =>
    kind === 'text' ? [{ text: value!, before: before_n, after: after_n }] : [],
  );
  return [users, errorTexts(texts, total, after.weight)];
}

const lengthOf = ({ since, until }: Window) => (until.getTime() - since.getTime()) / 1000;

function sidesOf(row: ValueRow): { before: Sums; after: Sums } {
  return {
    before: { n: row.before_n, sum: row.before_sum, sumSq: row.before_sum_sq },
    after: { n: row.after_n, sum: row.after_sum, sumSq: row.after_sum_sq },
  };
}
