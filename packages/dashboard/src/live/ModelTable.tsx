import { ModelName } from '../chart/ModelName.tsx';
import type { Bucket } from '../data/bucket.ts';
import { compact, count, dollars, latency, orDash, percent, score } from '../data/format.ts';
import { groupBy } from '../data/group.ts';
import { newestBucket, type Summary, summarize } from '../data/summary.ts';
import { errorWarningPct } from '../data/verdict.ts';
import { type FigureColumn, FigureTable } from '../ui/FigureTable.tsx';
import { Panel } from '../ui/Panel.tsx';
import { type LiveView, showModel } from './liveView.ts';
import type { ShownModels } from './shownModels.ts';
import type { RangeRows } from './useRangeRows.ts';

export interface ModelTableProps {
  readonly view: LiveView;
  readonly models: ShownModels;
  readonly range: RangeRows;
}

interface Line extends Summary {
  readonly model: string;
  readonly newest: Bucket | undefined;
}

/** Every model version of the range, in figures. */
export function ModelTable({ view, models, range: { rows, state, reload } }: ModelTableProps) {
  const byModel = groupBy(rows, ({ model }) => model);
  const lines: readonly Line[] = models.all.map((model) => {
    const own = byModel.get(model) ?? [];
    return { model, ...summarize(own), newest: newestBucket(own) };
  });
  return (
    <Panel title="Model versions" caption={view.range.window} state={state} onRetry={reload}>
      <FigureTable
        label="Model versions"
        rowTitle="Version"
        rows={lines}
        keyOf={({ model }) => model}
        head={({ model }) => (
          <ModelName model={model} slot={models.slots.get(model)} chosen={view.model} onChoose={showModel} />
        )}
        columns={columnsOf(view)}
      />
    </Panel>
  );
}

function columnsOf({ range }: LiveView): readonly FigureColumn<Line>[] {
  const { window, newestName } = range;
  return [
    { title: 'Requests', window: 'count', cell: ({ requests }) => count(requests) },
    {
      title: 'Error rate',
      window: `%, ${window}`,
      cell: ({ errorPct }) => orDash(errorPct, percent),
      alarming: ({ errorPct }) => (errorPct ?? 0) >= errorWarningPct,
    },
    { title: 'p50', window: newestName, cell: ({ newest }) => orDash(newest?.p50Ms, latency) },
    { title: 'p95', window: newestName, cell: ({ newest }) => orDash(newest?.p95Ms, latency) },
    { title: 'p99', window: newestName, cell: ({ newest }) => orDash(newest?.p99Ms, latency) },
    {
      title: 'Mean',
      window: 'rolling 5 min / 1 h',
      cell: ({ newest }) =>
        `${orDash(newest?.rolling?.fiveMinuteMs, latency)} / ${orDash(newest?.rolling?.hourMs, latency)}`,
    },
    {
      title: 'Confidence',
      window: 'mean, 0 to 1',
      cell: ({ avgConfidence }) => orDash(avgConfidence, score),
      present: ({ avgConfidence }) => avgConfidence !== null,
    },
    {
      title: 'Quality',
      window: 'mean, 0 to 1',
      cell: ({ avgQuality }) => orDash(avgQuality, score),
      present: ({ avgQuality }) => avgQuality !== null,
    },
    {
      title: 'Tokens',
      window: 'in / out',
      cell: ({ inputTokens, outputTokens }) =>
        `${orDash(inputTokens, compact)} / ${orDash(outputTokens, compact)}`,
      present: ({ inputTokens, outputTokens }) => inputTokens !== null || outputTokens !== null,
    },
    {
      title: 'Cost',
      window: 'US dollars',
      cell: ({ costUsd }) => orDash(costUsd, dollars),
      present: ({ costUsd }) => costUsd !== null,
    },
  ];
}
