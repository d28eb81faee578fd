import { useMemo } from 'react';
import { go } from '../app/router.ts';
import { ChartPanel, type ChartPanelProps } from '../chart/ChartPanel.tsx';
import { pointsOf } from '../chart/points.ts';
import { compact, count, dollars, latency, percent, score } from '../data/format.ts';
import type { Trend } from '../data/trend.ts';
import { Segmented } from '../ui/Segmented.tsx';
import { dayAxis } from './dayAxis.ts';
import { type HistoryView, type LatencyMeasure, showDays, showLatency } from './historyView.ts';
import { dayMs, nextStart } from './period.ts';
import type { HistoryData } from './useHistory.ts';

type Read = (row: Trend) => number | null;

const latencyOf: Record<LatencyMeasure, { readonly label: string; readonly read: Read }> = {
  p50: { label: 'p50', read: (row) => row.p50Ms },
  p95: { label: 'p95', read: (row) => row.p95Ms },
  p99: { label: 'p99', read: (row) => row.p99Ms },
  mean: { label: 'mean', read: (row) => row.avgLatencyMs },
};
const requestsOf: Read = (row) => row.requests;
const errorsOf: Read = (row) => row.errorPct;
const confidenceOf: Read = (row) => row.avgConfidence;
const qualityOf: Read = (row) => row.avgQuality;
const costOf: Read = (row) => row.costUsd;
const tokensOf: Read = (row) =>
  row.inputTokens === null && row.outputTokens === null
    ? null
    : (row.inputTokens ?? 0) + (row.outputTokens ?? 0);
const twoDigits = (value: number) => value.toFixed(2);

export interface HistoryChartsProps {
  readonly view: HistoryView;
  readonly data: HistoryData;
  readonly today: number;
}

export function HistoryCharts({ view, data, today }: HistoryChartsProps) {
  const { stretch, model } = view;
  const { unit } = stretch;
  const { starts, trends, shown, slots, state, reload } = data;
  const names = useMemo(() => (model === undefined ? shown : [model]), [model, shown]);
  const axis = useMemo(() => dayAxis(unit, starts, today), [unit, starts, today]);
  const pick = useMemo(
    () =>
      unit === 'day'
        ? {
            name: 'Events',
            // The Live page lists events; they are kept for days, their sums for years.
            onPick: (start: number) =>
              go({
                path: '/',
                params: {
                  at: new Date(start).toISOString(),
                  for: String(dayMs / 1_000),
                  of: model ?? null,
                },
              }),
          }
        : {
            name: 'Days',
            onPick: (start: number) => showDays(start, nextStart(unit, start) - dayMs, 'day'),
          },
    [unit, model],
  );
  const chart = (read: Read, absent: null | 0): Pick<ChartPanelProps, 'points' | 'series'> => ({
    points: pointsOf(
      trends,
      starts,
      names.map((name) => ({ model: name, read })),
      absent,
    ),
    series: names.map((name) => ({ label: name, slot: slots.get(name) ?? 0, model: name })),
  });
  const has = (read: Read) => trends.some((row) => read(row) !== null && names.includes(row.model));
  const common = { state, onRetry: reload, axis, pick, subject: `${unit} ${starts[0]} ${names.join(' ')}` };
  const each = `each ${unit}`;
  return (
    <div className="grid gap-3 md:grid-cols-2 md:[&>:last-child:nth-child(odd)]:col-span-2">
      <ChartPanel
        {...common}
        {...chart(requestsOf, 0)}
        title="Requests"
        caption={`count, ${each}`}
        kind="stack"
        format={count}
        axisFormat={compact}
      />
      <ChartPanel
        {...common}
        {...chart(latencyOf[view.latency].read, null)}
        title="Latency"
        caption={`${latencyOf[view.latency].label}, ${each}`}
        kind="line"
        format={latency}
        axisFormat={latency}
        controls={
          <Segmented
            label="Latency measure"
            value={view.latency}
            onChange={showLatency}
            options={[
              { value: 'p50', label: 'p50' },
              { value: 'p95', label: 'p95' },
              { value: 'p99', label: 'p99' },
              { value: 'mean', label: 'mean' },
            ]}
          />
        }
      />
      <ChartPanel
        {...common}
        {...chart(errorsOf, null)}
        title="Error rate"
        caption={`%, ${each}`}
        kind="line"
        format={percent}
        axisFormat={percent}
      />
      {has(confidenceOf) && (
        <ChartPanel
          {...common}
          {...chart(confidenceOf, null)}
          title="Confidence"
          caption={`mean, 0 to 1, ${each}`}
          kind="line"
          format={score}
          axisFormat={twoDigits}
          upToOne
        />
      )}
      {has(qualityOf) && (
        <ChartPanel
          {...common}
          {...chart(qualityOf, null)}
          title="Quality"
          caption={`mean, 0 to 1, ${each}`}
          kind="line"
          format={score}
          axisFormat={twoDigits}
          upToOne
        />
      )}
      {has(tokensOf) && (
        <ChartPanel
          {...common}
          {...chart(tokensOf, 0)}
          title="Tokens"
          caption={`in and out, ${each}`}
          kind="stack"
          format={count}
          axisFormat={compact}
        />
      )}
      {has(costOf) && (
        <ChartPanel
          {...common}
          {...chart(costOf, 0)}
          title="Cost"
          caption={`US dollars, ${each}`}
          kind="stack"
          format={dollars}
          axisFormat={dollars}
        />
      )}
    </div>
  );
}
