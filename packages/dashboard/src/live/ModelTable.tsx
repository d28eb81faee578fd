import { Swatch } from '../chart/Swatch.tsx';
import type { Bucket } from '../data/bucket.ts';
import { compact, count, dollars, latency, percent, score } from '../data/format.ts';
import { groupBy } from '../data/group.ts';
import { newestBucket, type Summary, summarize } from '../data/summary.ts';
import { errorWarningPct } from '../data/verdict.ts';
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

interface Column {
  readonly title: string;
  readonly window: string;
  readonly cell: (line: Line) => string;
  readonly present?: (line: Line) => boolean;
  readonly alarming?: (line: Line) => boolean;
}

/** Every model version of the range, in figures. */
export function ModelTable({ view, models, range: { rows, state, reload } }: ModelTableProps) {
  const byModel = groupBy(rows, ({ model }) => model);
  const lines: readonly Line[] = models.all.map((model) => {
    const own = byModel.get(model) ?? [];
    return { model, ...summarize(own), newest: newestBucket(own) };
  });
  const columns = columnsOf(view).filter(({ present }) => present === undefined || lines.some(present));
  return (
    <Panel title="Model versions" caption={view.range.window} state={state} onRetry={reload}>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling region must take the focus */}
      <section aria-label="Model versions, table" tabIndex={0} className="overflow-x-auto px-4 pb-3">
        <table className="w-full border-separate border-spacing-0 text-small">
          <thead>
            <tr>
              <th
                scope="col"
                className="sticky left-0 bg-(--panel) pr-4 pb-1 text-left align-bottom font-medium"
              >
                Version
              </th>
              {columns.map(({ title, window }) => (
                <th
                  key={title + window}
                  scope="col"
                  className="pb-1 pl-4 text-right align-bottom font-medium"
                >
                  <span className="whitespace-nowrap">{title}</span>
                  <span className="ml-auto block max-w-24 font-normal text-caption text-muted">{window}</span>
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {lines.map((line) => (
              <tr key={line.model} data-model={line.model} className="group">
                <th
                  scope="row"
                  className="sticky left-0 max-w-56 border-line border-t bg-(--panel) py-1.5 pr-4 text-left font-medium group-hover:bg-raised"
                >
                  <button
                    type="button"
                    aria-pressed={line.model === view.model}
                    className="flex max-w-full items-center gap-2 underline-offset-2 hover:underline aria-pressed:text-accent"
                    onClick={() => showModel(line.model === view.model ? undefined : line.model)}
                  >
                    {models.slots.has(line.model) ? (
                      <Swatch slot={models.slots.get(line.model)!} />
                    ) : (
                      <NoSwatch />
                    )}
                    <span className="truncate">{line.model}</span>
                  </button>
                </th>
                {columns.map(({ title, window, cell, alarming }) => (
                  <td
                    key={title + window}
                    className={`whitespace-nowrap border-line border-t py-1.5 pl-4 text-right group-hover:bg-raised ${alarming?.(line) ? 'font-semibold text-bad' : ''}`}
                  >
                    {cell(line)}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </section>
    </Panel>
  );
}

function columnsOf({ range }: LiveView): readonly Column[] {
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

function orDash(value: number | null | undefined, format: (value: number) => string): string {
  return value === null || value === undefined ? '–' : format(value);
}

/** A model beyond those that charts can tell apart. */
function NoSwatch() {
  return <span aria-hidden="true" className="w-4.5 shrink-0" />;
}
