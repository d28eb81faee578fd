import type { Question } from '../explanation.ts';
import type { Dimension, Measure, Slice, Sums } from './attribution.ts';
import type { Query } from './bounded.ts';
import { readClientCounts } from './clients.ts';
import { quantile95, readHistograms, readKeys, slowAbove, slowLimits } from './latency.ts';
import { metrics, summarySource } from './metric.ts';
import { readRowCells, type SlowLimits } from './rows.ts';
import type { Window, Windows } from './windows.ts';

/** What one model, feature and variant did in a window; '' where the event named none. */
export interface Cell extends Sums {
  readonly model_version: string;
  readonly feature: string;
  readonly variant: string;
}

export interface Cells {
  readonly value: number | null;
  readonly baseline: number | null;
  readonly total: { readonly before: Sums; readonly after: Sums };
  readonly measure: Measure;
  readonly dimensions: readonly Dimension[];
  /** Of latency: what counts as slow. */
  readonly limits: SlowLimits | undefined;
}

/** See sql/internal/19_key_cap.sql. */
const beyondCap = '__other__';
const keys = ['model_version', 'feature', 'variant'] as const;

/** The change by model, feature, variant and, of traffic, client. */
export async function readCells(query: Query, question: Question, windows: Windows): Promise<Cells> {
  const { metric, labels } = question;
  const clients =
    metric === 'traffic' && labels.model_version === undefined && labels.feature === undefined
      ? await readClientCounts(query, windows)
      : undefined;
  if (labels.client !== undefined)
    return ofClient(
      clients?.find(({ value }) => value === labels.client),
      windows,
    );
  const { before, after, limits, quantiles } =
    metric === 'latency'
      ? await readLatency(query, question, windows)
      : await readSums(query, question, windows);
  const total = { before: add(before), after: add(after) };
  const scale = windows.before.seconds === 0 ? 0 : secondsOf(windows) / windows.before.seconds;
  const measure: Measure =
    metrics[metric].kind === 'volume' ? { kind: 'volume', scale } : { kind: metrics[metric].kind as 'rate' };
  const named = keys.filter((key) => key === 'variant' || labels[key] === undefined);
  const dimensions = named.map((name) => dimensionOf(name, before, after, measure, total));
  if (clients !== undefined) {
    const all = clients.reduce(
      (sum, { before: b, after: a }) => ({ before: plus(sum.before, b), after: plus(sum.after, a) }),
      { before: none, after: none },
    );
    const clientScale = windows.before.seconds === 0 ? 0 : windows.after.seconds / windows.before.seconds;
    dimensions.push({
      name: 'client',
      measure: { kind: 'volume', scale: clientScale },
      total: all,
      slices: clients,
      valueCount: clients.length,
      weight: 1,
      spread: 1,
    });
  }
  return {
    value: quantiles === undefined ? figure(question, total.after, secondsOf(windows)) : quantiles.after,
    baseline:
      quantiles === undefined ? figure(question, total.before, windows.before.seconds) : quantiles.before,
    total,
    measure,
    dimensions,
    limits,
  };
}

/** How long what was counted of the incident covers. */
function secondsOf({ exact, after }: Windows): number {
  return exact ? (after.until.getTime() - after.since.getTime()) / 1000 : after.seconds;
}

interface Read {
  readonly before: readonly Cell[];
  readonly after: readonly Cell[];
  readonly limits?: SlowLimits;
  readonly quantiles?: { readonly before: number | null; readonly after: number | null };
}

async function readSums(query: Query, question: Question, windows: Windows): Promise<Read> {
  const before = await readSummaries(query, question, windows.before);
  const after = windows.exact
    ? (await readRowCells(query, question, windows.after, undefined)).cells
    : await readSummaries(query, question, windows.after);
  return { before, after };
}

async function readLatency(query: Query, question: Question, windows: Windows): Promise<Read> {
  const called = await readKeys(query, question, windows.after);
  const before = await readHistograms(query, question, windows.before, called.length);
  // What is new has no histogram before.
  const limits = slowLimits(before, [...before, ...called]);
  const baseline = await quantile95(query, before);
  if (windows.exact) {
    const { cells, p95 } = await readRowCells(query, question, windows.after, limits);
    return {
      before: slowAbove(before, limits),
      after: cells,
      limits,
      quantiles: { before: baseline, after: p95 },
    };
  }
  const after = await readHistograms(query, question, windows.after, called.length);
  return {
    before: slowAbove(before, limits),
    after: slowAbove(after, limits),
    limits,
    quantiles: { before: baseline, after: await quantile95(query, after) },
  };
}

async function readSummaries(
  query: Query,
  { metric, labels }: Question,
  { minutes }: Window,
): Promise<Cell[]> {
  const [n, sum, sumSq] = metrics[metric].summary;
  return await query<Cell & { model_version: string }>(
    `select s.model_version, s.feature, s.variant, sum(coalesce(${n}, 0))::double precision as n,
       coalesce(sum(${sum}), 0)::double precision as sum, coalesce(sum(${sumSq}), 0)::double precision as "sumSq"
     from (${summarySource}) s
     group by s.model_version, s.feature, s.variant`,
    [minutes, labels.model_version ?? null, labels.feature ?? null],
  );
}

function dimensionOf(
  name: (typeof keys)[number],
  before: readonly Cell[],
  after: readonly Cell[],
  measure: Measure,
  total: Cells['total'],
): Dimension {
  const slices = new Map<string, { before: Sums; after: Sums }>();
  for (const [side, cells] of Object.entries({ before, after })) {
    for (const cell of cells) {
      const slice = slices.get(cell[name]) ?? { before: none, after: none };
      slices.set(cell[name], { ...slice, [side]: plus(slice[side as 'before' | 'after'], cell) });
    }
  }
  return {
    name,
    measure,
    total,
    // Events that name no feature have nothing in common, nor have those beyond the cap of keys.
    slices: [...slices]
      .filter(([value]) => value !== '' && value !== beyondCap)
      .map(([value, slice]): Slice => ({ value, ...slice })),
    valueCount: slices.size,
    weight: 1,
    spread: 1,
  };
}

function ofClient(found: Slice | undefined, windows: Windows): Cells {
  const total = { before: found?.before ?? none, after: found?.after ?? none };
  const perMinute = (sums: Sums, seconds: number) => (seconds === 0 ? null : (sums.sum * 60) / seconds);
  return {
    value: perMinute(total.after, windows.after.seconds),
    baseline: perMinute(total.before, windows.before.seconds),
    total,
    measure: { kind: 'volume', scale: 1 },
    dimensions: [],
    limits: undefined,
  };
}

/** The metric in its unit. */
function figure({ metric }: Question, { n, sum }: Sums, seconds: number): number | null {
  if (metric === 'traffic') return seconds === 0 ? null : (sum * 60) / seconds;
  if (metric === 'cost') return seconds === 0 ? null : (sum * 3600) / seconds;
  if (n === 0) return null;
  return metric === 'error_rate' ? (100 * sum) / n : sum / n;
}

const none: Sums = { n: 0, sum: 0, sumSq: 0 };
const plus = (a: Sums, b: Sums): Sums => ({ n: a.n + b.n, sum: a.sum + b.sum, sumSq: a.sumSq + b.sumSq });
const add = (cells: readonly Sums[]) => cells.reduce(plus, none);
