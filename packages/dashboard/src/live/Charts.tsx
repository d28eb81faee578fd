import { useMemo } from 'react';
import { ChartPanel, type ChartPanelProps } from '../chart/ChartPanel.tsx';
import { clockAxis } from '../chart/clockAxis.ts';
import { pointsOf, type Series } from '../chart/points.ts';
import type { Bucket } from '../data/bucket.ts';
import { compact, count, dollars, latency, percent, score } from '../data/format.ts';
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

type ReadValue = (row: Bucket) => number | null;

export interface ChartsProps {
  readonly view: LiveView;
  readonly models: ShownModels;
  readonly range: RangeRows;
}

const latencyOf: Record<
  Exclude<LatencyMeasure, 'all'>,
  { readonly label: string; readonly read: ReadValue }
> = {
  p50: { label: 'p50', read: (row) => row.p50Ms },
  p95: { label: 'p95', read: (row) => row.p95Ms },
  p99: { label: 'p99', read: (row) => row.p99Ms },
  '5m': { label: 'mean of 5 minutes', read: (row) => row.rolling?.fiveMinuteMs ?? null },
  '1h': { label: 'mean of 1 hour', read: (row) => row.rolling?.hourMs ?? null },
};
/** What one model's latency is drawn as: the spread, and where it stands against its own past. */
const spread = ['p50', 'p95', 'p99', '5m', '1h'] as const;

const errorsOf: Record<ErrorMeasure, { readonly label: string; readonly read: ReadValue }> = {
  each: { label: '', read: (row) => (100 * row.errors) / row.requests },
  '5m': { label: 'rolling 5 minutes', read: (row) => row.rolling?.fiveMinuteErrorPct ?? null },
  '1h': { label: 'rolling 1 hour', read: (row) => row.rolling?.hourErrorPct ?? null },
};

const requestsOf: ReadValue = (row) => row.requests;
const confidenceOf: ReadValue = (row) => row.avgConfidence;
const qualityOf: ReadValue = (row) => row.avgQuality;
const tokensOf: ReadValue = (row) =>
  row.inputTokens === null && row.outputTokens === null
    ? null
    : (row.inputTokens ?? 0) + (row.outputTokens ?? 0);
const costOf: ReadValue = (row) => row.costUsd;
const wholeNumber = (value: number) => count(value);

export function Charts({ view, models, range: { rows, starts, state, reload } }: ChartsProps) {
  const { range, model } = view;
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
      return perModel(names, models, measure.read);
    }
    return spread.map((key, index) => ({
      model: only,
      read: latencyOf[key].read,
      series: { label: latencyOf[key].label, slot: index, model: only },
    }));
  }, [latencyMeasure, only, names, models]);

  const subject = `${range.id} ${names.join(' ')}`;
  const common = { state, onRetry: reload, axis, pick, subject };
  const chart = useMemo(() => {
    const from = (columns: Columns, absent: null | 0): Pick<ChartPanelProps, 'points' | 'series'> => ({
      points: pointsOf(rows, starts, columns, absent),
      series: columns.map(({ series }) => series),
    });
    return {
      requests: from(perModel(names, models, requestsOf), 0),
      latency: from(latencyColumns, null),
      errors: from(perModel(names, models, errorsOf[view.errors].read), null),
      confidence: from(perModel(names, models, confidenceOf), null),
      quality: from(perModel(names, models, qualityOf), null),
      tokens: from(perModel(names, models, tokensOf), 0),
      cost: from(perModel(names, models, costOf), 0),
    };
  }, [rows, starts, names, models, latencyColumns, view.errors]);
  const has = (of: ReadValue) => rows.some((row: Bucket) => of(row) !== null && names.includes(row.model));

  return (
    <div className="grid gap-3 md:grid-cols-2 md:[&>:last-child:nth-child(odd)]:col-span-2">
      <ChartPanel
        {...common}
        {...chart.requests}
        title="Requests"
        caption={`count, ${each}`}
        kind="stack"
        format={wholeNumber}
        axisFormat={compact}
      />
      <ChartPanel
        {...common}
        {...chart.latency}
        title="Latency"
        caption={latencyMeasure === 'all' ? each : `${latencyOf[latencyMeasure].label}, ${each}`}
        kind="line"
        format={latency}
        axisFormat={latency}
        controls={
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
        }
      />
      <ChartPanel
        {...common}
        {...chart.errors}
        title="Error rate"
        caption={`%, ${view.errors === 'each' ? each : errorsOf[view.errors].label}`}
        kind="line"
        format={percent}
        axisFormat={percent}
        controls={
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
        }
      />
      {(rows.length === 0 || has(confidenceOf)) && (
        <ChartPanel
          {...common}
          {...chart.confidence}
          title="Confidence"
          caption={`mean, 0 to 1, ${each}`}
          kind="line"
          format={score}
          axisFormat={shortScore}
          upToOne
        />
      )}
      {has(qualityOf) && (
        <ChartPanel
          {...common}
          {...chart.quality}
          title="Quality"
          caption={`mean, 0 to 1, ${each}`}
          kind="line"
          format={score}
          axisFormat={shortScore}
          upToOne
        />
      )}
      {has(tokensOf) && (
        <ChartPanel
          {...common}
          {...chart.tokens}
          title="Tokens"
          caption={`in and out, ${each}`}
          kind="stack"
          format={wholeNumber}
          axisFormat={compact}
        />
      )}
      {has(costOf) && (
        <ChartPanel
          {...common}
          {...chart.cost}
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

type Columns = readonly { readonly model: string; readonly read: ReadValue; readonly series: Series }[];

function perModel(names: readonly string[], models: ShownModels, read: ReadValue): Columns {
  return names.map((model) => ({
    model,
    read,
    series: { label: model, slot: models.slots.get(model) ?? 0, model },
  }));
}

function shortScore(value: number): string {
  return value.toFixed(2);
}
