import { useMemo } from 'react';
import { clockAxis } from '../chart/clockAxis.ts';
import { MeasureCharts, perModel, type Read } from '../chart/MeasureCharts.tsx';
import type { Bucket } from '../data/bucket.ts';
import { Segmented } from '../ui/Segmented.tsx';
import {
  type ErrorMeasure,
  type LatencyMeasure,
  type LiveView,
  showErrors,
  showEvents,
  showLatency,
} from './liveView.ts';
import type { ShownModels } from './shownModels.ts';
import type { RangeRows } from './useRangeRows.ts';

export interface ChartsProps {
  readonly view: LiveView;
  readonly models: ShownModels;
  readonly range: RangeRows;
  /** Where they begin: see useShownSince(). */
  readonly shownSince: number;
}

const latencyOf: Record<
  Exclude<LatencyMeasure, 'all'>,
  { readonly label: string; readonly read: Read<Bucket> }
> = {
  p50: { label: 'p50', read: (row) => row.p50Ms },
  p95: { label: 'p95', read: (row) => row.p95Ms },
  p99: { label: 'p99', read: (row) => row.p99Ms },
  '5m': { label: 'mean of 5 minutes', read: (row) => row.rolling?.fiveMinuteMs ?? null },
  '1h': { label: 'mean of 1 hour', read: (row) => row.rolling?.hourMs ?? null },
};
/** What one model's latency is drawn as: the spread, and where it stands against its own past. */
const spread = ['p50', 'p95', 'p99', '5m', '1h'] as const;

const errorsOf: Record<ErrorMeasure, { readonly label: string; readonly read: Read<Bucket> }> = {
  each: { label: '', read: (row) => (100 * row.errors) / row.requests },
  '5m': { label: 'rolling 5 minutes', read: (row) => row.rolling?.fiveMinuteErrorPct ?? null },
  '1h': { label: 'rolling 1 hour', read: (row) => row.rolling?.hourErrorPct ?? null },
};

export function Charts({
  view,
  models,
  range: { rows, edition, starts: all, state, reload },
  shownSince,
}: ChartsProps) {
  const starts = useMemo(() => all.filter((start) => start >= shownSince), [all, shownSince]);
  const { range, model } = view;
  const { slots } = models;
  const names = useMemo(() => (model === undefined ? models.shown : [model]), [model, models.shown]);
  const only = names.length === 1 ? names[0] : undefined;
  const pick = useMemo(
    () => ({
      name: 'Events',
      onPick: (start: number) =>
        showEvents({ since: start, until: start + range.stepMs, model, onlyErrors: false }),
    }),
    [range, model],
  );
  const axis = useMemo(() => clockAxis(starts, range.stepMs), [starts, range]);
  const each = `each ${range.stepName}`;
  // One model shows its whole spread unless something else is asked for.
  const latencyMeasure: LatencyMeasure = view.latency ?? (only === undefined ? 'p95' : 'all');
  const latencyColumns = useMemo(() => {
    if (latencyMeasure !== 'all' || only === undefined) {
      const measure = latencyOf[latencyMeasure === 'all' ? 'p95' : latencyMeasure];
      return perModel(names, slots, measure.read);
    }
    return spread.map((key, index) => ({
      model: only,
      read: latencyOf[key].read,
      series: { label: latencyOf[key].label, slot: index, model: only },
    }));
  }, [latencyMeasure, only, names, slots]);
  const errorColumns = useMemo(
    () => perModel(names, slots, errorsOf[view.errors].read),
    [names, slots, view.errors],
  );

  return (
    <MeasureCharts
      rows={rows}
      starts={starts}
      models={names}
      slots={slots}
      each={each}
      state={state}
      onRetry={reload}
      axis={axis}
      pick={pick}
      subject={`${range.id} ${edition} ${starts.length < all.length ? 'young ' : ''}${names.join(' ')}`}
      latency={{
        columns: latencyColumns,
        caption: latencyMeasure === 'all' ? each : `${latencyOf[latencyMeasure].label}, ${each}`,
        controls: (
          <Segmented
            label="Latency measure"
            value={latencyMeasure}
            onChange={showLatency}
            options={[
              ...(only === undefined ? [] : [{ value: 'all' as const, label: 'all', name: 'all measures' }]),
              { value: 'p50', label: 'p50' },
              { value: 'p95', label: 'p95' },
              { value: 'p99', label: 'p99' },
              { value: '5m', label: '5 m', name: 'rolling mean of 5 minutes' },
              { value: '1h', label: '1 h', name: 'rolling mean of 1 hour' },
            ]}
          />
        ),
      }}
      errors={{
        columns: errorColumns,
        caption: `%, ${view.errors === 'each' ? each : errorsOf[view.errors].label}`,
        controls: (
          <Segmented
            label="Error rate window"
            value={view.errors}
            onChange={showErrors}
            options={[
              { value: 'each', label: 'each', name: each },
              { value: '5m', label: '5 m', name: 'rolling 5 minutes' },
              { value: '1h', label: '1 h', name: 'rolling 1 hour' },
            ]}
          />
        ),
      }}
    />
  );
}
