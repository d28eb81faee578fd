import { type ReactNode, useMemo } from 'react';
import { count, dollars, latency, percent, score } from '../data/format.ts';
import { ChartPanel, type ChartPanelProps } from './ChartPanel.tsx';
import { pointsOf, type Series } from './points.ts';

/** What the charts need of a bucket of time and model; null where its events have no such measure. */
export interface MeasureRow {
  readonly start: number;
  readonly model: string;
  readonly requests: number;
  readonly avgConfidence: number | null;
  readonly avgQuality: number | null;
  readonly inputTokens: number | null;
  readonly outputTokens: number | null;
  readonly costUsd: number | null;
}

export type Read<R> = (row: R) => number | null;
/** What one line of a chart is drawn from. */
export type Columns<R> = readonly {
  readonly model: string;
  readonly read: Read<R>;
  readonly series: Series;
}[];

interface Measure<R> {
  /** Compared: keep it with useMemo. */
  readonly columns: Columns<R>;
  readonly caption: string;
  readonly controls?: ReactNode;
}

export interface MeasureChartsProps<R extends MeasureRow>
  extends Pick<ChartPanelProps, 'state' | 'onRetry' | 'axis' | 'pick' | 'subject'> {
  readonly rows: readonly R[];
  readonly starts: readonly number[];
  /** Those that are drawn. */
  readonly models: readonly string[];
  readonly slots: ReadonlyMap<string, number>;
  /** How long a bucket is: "each minute". */
  readonly each: string;
  readonly latency: Measure<R>;
  readonly errors: Measure<R>;
}

const tokensOf: Read<MeasureRow> = (row) =>
  row.inputTokens === null && row.outputTokens === null
    ? null
    : (row.inputTokens ?? 0) + (row.outputTokens ?? 0);
const confidenceOf: Read<MeasureRow> = (row) => row.avgConfidence;
const qualityOf: Read<MeasureRow> = (row) => row.avgQuality;
const costOf: Read<MeasureRow> = (row) => row.costUsd;

/** One chart for each measure that the drawn models have. */
export function MeasureCharts<R extends MeasureRow>(props: MeasureChartsProps<R>) {
  const { rows, starts, models, slots, each, latency: latencies, errors, ...common } = props;
  const chart = useMemo(() => {
    const drawn = (columns: Columns<R>, absent: null | 0): Pick<ChartPanelProps, 'points' | 'series'> => ({
      points: pointsOf(rows, starts, columns, absent),
      series: columns.map(({ series }) => series),
    });
    const each = (read: Read<R>, absent: null | 0) => drawn(perModel(models, slots, read), absent);
    /** Of the models that have it: a stack would draw the others along the top of those below them. */
    const known = (read: Read<R>, absent: null | 0) => {
      const having = new Set(rows.filter((row) => read(row) !== null).map(({ model }) => model));
      const drawnModels = models.filter((model) => having.has(model));
      return drawnModels.length === 0 ? undefined : drawn(perModel(drawnModels, slots, read), absent);
    };
    return {
      requests: each((row) => row.requests, 0),
      latency: drawn(latencies.columns, null),
      errors: drawn(errors.columns, null),
      // As long as nothing is known its place is kept: most events have a confidence.
      confidence: rows.length === 0 ? each(confidenceOf, null) : known(confidenceOf, null),
      quality: known(qualityOf, null),
      tokens: known(tokensOf, 0),
      cost: known(costOf, 0),
    };
  }, [rows, starts, models, slots, latencies.columns, errors.columns]);
  return (
    <div className="grid gap-3 md:grid-cols-2 md:[&>:last-child:nth-child(odd)]:col-span-2">
      <ChartPanel
        {...common}
        {...chart.requests}
        title="Requests"
        caption={`count, ${each}`}
        kind="stack"
        format={count}
        unit="count"
      />
      <ChartPanel
        {...common}
        {...chart.latency}
        title="Latency"
        caption={latencies.caption}
        kind="line"
        format={latency}
        unit="latency"
        controls={latencies.controls}
      />
      <ChartPanel
        {...common}
        {...chart.errors}
        title="Error rate"
        caption={errors.caption}
        kind="line"
        format={percent}
        unit="percent"
        controls={errors.controls}
      />
      {chart.confidence !== undefined && (
        <ChartPanel
          {...common}
          {...chart.confidence}
          title="Confidence"
          caption={`mean, 0 to 1, ${each}`}
          kind="line"
          format={score}
          unit="score"
        />
      )}
      {chart.quality !== undefined && (
        <ChartPanel
          {...common}
          {...chart.quality}
          title="Quality"
          caption={`mean, 0 to 1, ${each}`}
          kind="line"
          format={score}
          unit="score"
        />
      )}
      {chart.tokens !== undefined && (
        <ChartPanel
          {...common}
          {...chart.tokens}
          title="Tokens"
          caption={`in and out, ${each}`}
          kind="stack"
          format={count}
          unit="count"
        />
      )}
      {chart.cost !== undefined && (
        <ChartPanel
          {...common}
          {...chart.cost}
          title="Cost"
          caption={`US dollars, ${each}`}
          kind="stack"
          format={dollars}
          unit="dollars"
        />
      )}
    </div>
  );
}

/** A line a model, in the model's colour. */
export function perModel<R>(
  models: readonly string[],
  slots: ReadonlyMap<string, number>,
  read: Read<R>,
): Columns<R> {
  return models.map((model) => ({
    model,
    read,
    series: { label: model, slot: slots.get(model) ?? 0, model },
  }));
}
