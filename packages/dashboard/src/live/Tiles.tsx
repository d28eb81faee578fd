import { useMemo } from 'react';
import { useFeed } from '../app/session.ts';
import { looksLikeFall } from '../chart/points.ts';
import type { Bucket } from '../data/bucket.ts';
import { compact, count, dollars, latency, percent, score } from '../data/format.ts';
import { groupBy } from '../data/group.ts';
import { minuteMs } from '../data/minutes.ts';
import type { Range } from '../data/range.ts';
import { newestBucket, type Summary, summarize } from '../data/summary.ts';
import { errorBadPct, errorWarningPct, recent } from '../data/verdict.ts';
import { useNow } from '../ui/useNow.ts';
import { Tile, type TileProps } from './Tile.tsx';
import { useRangeRows } from './useRangeRows.ts';
import { useTotals } from './useTotals.ts';

export interface TilesProps {
  readonly range: Range;
  readonly model: string | undefined;
  /** Where their small pictures begin: see useShownSince(). */
  readonly shownSince: number;
}

type Figure = Omit<TileProps, 'state'>;

const p95Label = 'Latency p95';

/** Figures follow each push: nothing here is dear to draw. */
const everyMs = 0;

export function Tiles({ range, model, shownSince }: TilesProps) {
  const { rows, starts, state } = useRangeRows(range, everyMs);
  const totals = useTotals(range);
  const p95Ms = totals.byModel.get(model ?? null)?.p95Ms ?? null;
  const feed = useFeed();
  const now = useNow(feed, 5_000);
  const minutes = feed.data.get().minutes;
  const figures = useMemo(() => {
    const ours = (all: readonly Bucket[]) =>
      model === undefined ? all : all.filter((row) => row.model === model);
    return figuresOf({
      range,
      starts: starts.filter((start) => start >= shownSince),
      now,
      rows: ours(rows),
      minutes: ours(minutes),
      several: model === undefined,
      p95Ms,
    });
  }, [range, starts, shownSince, now, rows, minutes, model, p95Ms]);
  return (
    <dl
      aria-label="Key figures"
      className="grid grid-cols-2 gap-3 max-sm:[&>:last-child:nth-child(odd)]:col-span-2 sm:grid-cols-[repeat(auto-fit,minmax(10.5rem,1fr))]"
    >
      {figures.map((figure) => (
        <Tile key={figure.label} {...figure} state={figure.label === p95Label ? totals.state : state} />
      ))}
    </dl>
  );
}

interface Given {
  readonly range: Range;
  readonly starts: readonly number[];
  readonly now: number;
  readonly rows: readonly Bucket[];
  readonly minutes: readonly Bucket[];
  readonly several: boolean;
  /** Of the whole range: see metrics_total(). */
  readonly p95Ms: number | null;
}

function figuresOf({ range, starts, now, rows, minutes, several, p95Ms }: Given): readonly Figure[] {
  const whole = summarize(rows);
  const five = summarize(recent(minutes, now));
  const hour = summarize(minutes.filter(({ start }) => start > now - 60 * minuteMs));
  const byStart = groupBy(rows, ({ start }) => start);
  const trend = (of: (bucket: Summary, rows: readonly Bucket[]) => number | null) =>
    starts.map((start) => {
      const bucket = byStart.get(start) ?? [];
      return of(summarize(bucket), bucket);
    });
  const counted = (of: (bucket: Summary) => number | null) => {
    const counts = trend(of);
    return looksLikeFall(counts) ? [...counts.slice(0, -1), null] : counts;
  };
  const rolling = (of: (summary: Summary) => number | null, format: (value: number) => string) => {
    const [ofFive, ofHour] = [of(five), of(hour)];
    return [
      `5 min ${ofFive === null ? '–' : format(ofFive)}`,
      `1 h ${ofHour === null ? '–' : format(ofHour)}`,
    ];
  };
  const slowest = [...groupBy(rows, (row) => row.model).values()]
    .flatMap((own) => newestBucket(own) ?? [])
    .filter(({ start }) => start >= now - 2 * Math.max(range.stepMs, 5 * minuteMs))
    .sort((a, b) => (b.p95Ms ?? 0) - (a.p95Ms ?? 0))[0];
  const secondsOfFive = (now - Math.floor(now / minuteMs) * minuteMs + 4 * minuteMs) / 1_000;

  const figures: Figure[] = [
    {
      label: 'Requests',
      window: range.window,
      value: count(whole.requests),
      lines: [`${perSecond(five.requests / secondsOfFive)}, last 5 min`],
      trend: counted((bucket) => bucket.requests),
    },
    {
      label: p95Label,
      window: range.window,
      value: p95Ms === null ? '–' : latency(p95Ms),
      lines:
        slowest?.p95Ms == null
          ? []
          : [
              `${several ? `slowest: ${shorten(slowest.model)}, ` : ''}${latency(slowest.p95Ms)} in the ${range.newestName}`,
            ],
      trend: trend((_, bucket) => highest(bucket.map(({ p95Ms }) => p95Ms))),
    },
    {
      label: 'Error rate',
      window: range.window,
      value: whole.errorPct === null ? '–' : percent(whole.errorPct),
      level: levelOf(five.errorPct),
      lines: rolling((summary) => summary.errorPct, percent),
      trend: trend((bucket) => bucket.errorPct),
    },
  ];
  if (whole.avgConfidence !== null) {
    figures.push({
      label: 'Confidence',
      window: `mean, ${range.window}`,
      value: score(whole.avgConfidence),
      lines: rolling((summary) => summary.avgConfidence, score),
      trend: trend((bucket) => bucket.avgConfidence),
    });
  }
  if (whole.avgQuality !== null) {
    figures.push({
      label: 'Quality',
      window: `mean, ${range.window}`,
      value: score(whole.avgQuality),
      lines: rolling((summary) => summary.avgQuality, score),
      trend: trend((bucket) => bucket.avgQuality),
    });
  }
  if (whole.inputTokens !== null || whole.outputTokens !== null) {
    const tokens = ({ inputTokens, outputTokens }: Summary) =>
      inputTokens === null && outputTokens === null ? null : (inputTokens ?? 0) + (outputTokens ?? 0);
    figures.push({
      label: 'Tokens',
      window: range.window,
      value: compact(tokens(whole) ?? 0),
      lines: [`${compact(whole.inputTokens ?? 0)} in`, `${compact(whole.outputTokens ?? 0)} out`],
      trend: counted(tokens),
    });
  }
  if (whole.costUsd !== null) {
    figures.push({
      label: 'Cost',
      window: range.window,
      value: dollars(whole.costUsd),
      lines: [`${dollars((1_000 * whole.costUsd) / Math.max(1, whole.requests))} per 1,000 requests`],
      trend: counted((bucket) => bucket.costUsd),
    });
  }
  return figures;
}

/** In its middle: versions differ at the end. */
function shorten(name: string): string {
  return name.length > 24 ? `${name.slice(0, 15)}…${name.slice(-8)}` : name;
}

function perSecond(rate: number): string {
  return rate >= 1 || rate === 0 ? `${count(rate)} a second` : `${count(rate * 60)} a minute`;
}

function levelOf(errorPct: number | null): Figure['level'] {
  if (errorPct === null || errorPct < errorWarningPct) return undefined;
  return errorPct < errorBadPct ? 'warning' : 'bad';
}

function highest(values: readonly (number | null)[]): number | null {
  const known = values.filter((value) => value !== null);
  return known.length === 0 ? null : Math.max(...known);
}
