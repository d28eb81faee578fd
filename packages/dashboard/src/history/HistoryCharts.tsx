import { useMemo } from 'react';
import { go } from '../app/router.ts';
import { MeasureCharts, perModel, type Read } from '../chart/MeasureCharts.tsx';
import type { Trend } from '../data/trend.ts';
import { Segmented } from '../ui/Segmented.tsx';
import { dayAxis } from './dayAxis.ts';
import { type HistoryView, type LatencyMeasure, showDays, showLatency } from './historyView.ts';
import { dayMs, nextStart } from './period.ts';
import type { HistoryData } from './useHistory.ts';

const latencyOf: Record<LatencyMeasure, Read<Trend>> = {
  p50: (row) => row.p50Ms,
  p95: (row) => row.p95Ms,
  p99: (row) => row.p99Ms,
  mean: (row) => row.avgLatencyMs,
};
const errorsOf: Read<Trend> = (row) => row.errorPct;

export interface HistoryChartsProps {
  readonly view: HistoryView;
  readonly data: HistoryData;
  readonly today: number;
}

export function HistoryCharts({ view, data, today }: HistoryChartsProps) {
  const { stretch, model } = view;
  const { unit } = stretch;
  const { drawnStarts: starts, trends, shown, slots, state, reload } = data;
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
  const latencies = useMemo(
    () => perModel(names, slots, latencyOf[view.latency]),
    [names, slots, view.latency],
  );
  const errors = useMemo(() => perModel(names, slots, errorsOf), [names, slots]);
  const each = `each ${unit}`;
  return (
    <MeasureCharts
      rows={trends}
      starts={starts}
      models={names}
      slots={slots}
      each={each}
      state={state}
      onRetry={reload}
      axis={axis}
      pick={pick}
      subject={`${unit} ${starts[0]} ${trends.length > 0} ${names.join(' ')}`}
      errors={{ columns: errors, caption: `%, ${each}` }}
      latency={{
        columns: latencies,
        caption: `${view.latency}, ${each}`,
        controls: (
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
        ),
      }}
    />
  );
}
