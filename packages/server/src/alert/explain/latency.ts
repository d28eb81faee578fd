import type { Question } from '../explanation.ts';
import type { Query } from './bounded.ts';
import type { Cell } from './cells.ts';
import { summarySource } from './metric.ts';
import type { SlowLimits } from './rows.ts';
import type { Window } from './windows.ts';

/** A cell's latencies: bins ascending (sql/schema/0002_histogram_edges.sql) and their counts. */
export interface LatencyCell {
  readonly model_version: string;
  readonly feature: string;
  readonly variant: string;
  readonly bins: readonly number[];
  readonly counts: readonly number[];
}

/** Fewer calls do not tell what is usual. */
const minUsual = 40;
const usualShare = 0.95;

/** Histograms are dear to merge: of so many cells and minutes together. */
const maxHistograms = 4_000;
const leastMinutes = 20;

type Key = Pick<LatencyCell, 'model_version' | 'feature' | 'variant'>;

/** What was called in the window, the busiest first. */
export async function readKeys(query: Query, { labels }: Question, { minutes }: Window): Promise<Key[]> {
  return await query<Key & { model_version: string }>(
    `select s.model_version, s.feature, s.variant from (${summarySource}) s
     group by s.model_version, s.feature, s.variant order by sum(s.request_count) desc limit ${maxHistograms}`,
    [minutes, labels.model_version ?? null, labels.feature ?? null],
  );
}

/** Histograms of evenly spread minutes of the window, the fewer the more keys there are. */
export async function readHistograms(
  query: Query,
  { labels }: Question,
  { minutes }: Window,
  keyCount: number,
): Promise<LatencyCell[]> {
  const most = Math.max(leastMinutes, Math.floor(maxHistograms / Math.max(1, keyCount)));
  const step = Math.max(1, minutes.length / most);
  const some = minutes.filter((_, i) => Math.floor(i / step) !== Math.floor((i - 1) / step));
  return await query<LatencyCell & { model_version: string }>(
    `select b.model_version, b.feature, b.variant, array_agg(b.bin order by b.bin) as bins,
       array_agg(b.n order by b.bin) as counts
     from (
       select s.model_version, s.feature, s.variant, h.bin::integer, sum(coalesce(h.n, 1))::double precision as n
       from (${summarySource}) s, unnest(s.latency_bins, s.latency_bin_counts) h (bin, n)
       group by s.model_version, s.feature, s.variant, h.bin
     ) b
     group by b.model_version, b.feature, b.variant`,
    [some, labels.model_version ?? null, labels.feature ?? null],
  );
}

/**
 * What a cell with too few calls is measured by: the same model's feature; the model; of a model that is new the feature;
 * everything.
 */
const levels: readonly ((key: Key) => string)[] = [
  ({ model_version, feature, variant }) => JSON.stringify([model_version, feature, variant]),
  ({ model_version, feature }) => JSON.stringify([model_version, feature]),
  ({ model_version }) => model_version,
  ({ feature }) => feature,
];

/**
 * Per cell the bin above which a call is slow: as the slowest twentieth of the cell's own calls were.
 *
 * @param cells of the baseline
 * @param keys of both windows
 */
export function slowLimits(cells: readonly LatencyCell[], keys: readonly Key[]): SlowLimits {
  const otherBin = usualBin(...merged(cells));
  const byLevel = levels.map((keyOf) => {
    const groups = new Map<string, LatencyCell[]>();
    for (const cell of cells) groups.set(keyOf(cell), [...(groups.get(keyOf(cell)) ?? []), cell]);
    return new Map(
      [...groups].flatMap(([key, group]) => {
        const [bins, counts] = merged(group);
        return total(counts) < minUsual ? [] : [[key, usualBin(bins, counts)] as const];
      }),
    );
  });
  return {
    cells: distinct(keys).map(({ model_version, feature, variant }) => ({
      model_version,
      feature,
      variant,
      bin:
        byLevel
          .map((bins, level) => bins.get(levels[level]!({ model_version, feature, variant })))
          .find((bin) => bin !== undefined) ?? otherBin,
    })),
    otherBin,
  };
}

function distinct(keys: readonly Key[]): Key[] {
  return [...new Map(keys.map((key) => [levels[0]!(key), key])).values()];
}

/** How many of each cell's calls are slow, as sums of 0 and 1. */
export function slowAbove(cells: readonly LatencyCell[], limits: SlowLimits): Cell[] {
  const keyOf = levels[0]!;
  const binOf = new Map(limits.cells.map((limit) => [keyOf(limit), limit.bin]));
  return cells.map((cell) => {
    const { model_version, feature, variant, bins, counts } = cell;
    const limit = binOf.get(keyOf(cell)) ?? limits.otherBin;
    const slow = counts.reduce((sum, count, i) => (bins[i]! > limit ? sum + count : sum), 0);
    return { model_version, feature, variant, n: total(counts), sum: slow, sumSq: slow };
  });
}

/** The p95 of all cells together in ms, within 1 %. */
export async function quantile95(query: Query, cells: readonly LatencyCell[]): Promise<number | null> {
  if (cells.length === 0) return null;
  const [bins, counts] = merged(cells);
  const [row] = await query<{ ms: number }>(
    `select (nowcast.latency_quantiles($1::smallint[], $2::bigint[], array[0.95], 0, 'infinity'))[1] as ms`,
    [bins, counts],
  );
  return row!.ms;
}

function merged(cells: readonly LatencyCell[]): [bins: number[], counts: number[]] {
  const all = new Map<number, number>();
  for (const { bins, counts } of cells)
    for (const [i, bin] of bins.entries()) all.set(bin, (all.get(bin) ?? 0) + counts[i]!);
  const bins = [...all.keys()].sort((a, b) => a - b);
  return [bins, bins.map((bin) => all.get(bin)!)];
}

function usualBin(bins: readonly number[], counts: readonly number[]): number {
  const enough = usualShare * total(counts);
  let seen = 0;
  for (const [i, bin] of bins.entries()) {
    seen += counts[i]!;
    if (seen >= enough) return bin;
  }
  return 0;
}

const total = (counts: readonly number[]) => counts.reduce((sum, count) => sum + count, 0);
