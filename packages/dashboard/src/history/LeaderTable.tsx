import { ModelName } from '../chart/ModelName.tsx';
import { count, dollars, latency, orDash, percent, score } from '../data/format.ts';
import type { Leader } from '../data/leader.ts';
import { type FigureColumn, FigureTable } from '../ui/FigureTable.tsx';
import { Panel } from '../ui/Panel.tsx';
import { type HistoryView, showModel } from './historyView.ts';
import { dayMs, dayName } from './period.ts';
import type { HistoryData } from './useHistory.ts';

/** Every model of the stretch, the busiest first. */
export function LeaderTable({ view, data }: { view: HistoryView; data: HistoryData }) {
  const { stretch } = view;
  const { leaders, state, reload } = data;
  return (
    <Panel
      title="Model versions"
      caption={`${dayName(stretch.from)} to ${dayName(stretch.until - dayMs)}`}
      state={state}
      onRetry={reload}
    >
      <FigureTable
        label="Model versions"
        rowTitle="Version"
        rows={leaders}
        keyOf={({ model }) => model}
        head={({ model }) => (
          <ModelName model={model} slot={data.slots.get(model)} chosen={view.model} onChoose={showModel} />
        )}
        columns={columns}
      />
    </Panel>
  );
}

const columns: readonly FigureColumn<Leader>[] = [
  { title: 'Requests', window: 'count', cell: ({ requests }) => count(requests) },
  { title: 'Share', window: '% of requests', cell: ({ sharePct }) => percent(sharePct) },
  { title: 'Error rate', window: '%', cell: ({ errorPct }) => percent(errorPct) },
  { title: 'Mean', window: 'latency', cell: ({ avgLatencyMs }) => latency(avgLatencyMs) },
  { title: 'p50', window: 'latency', cell: ({ p50Ms }) => latency(p50Ms) },
  { title: 'p95', window: 'latency', cell: ({ p95Ms }) => latency(p95Ms) },
  { title: 'p99', window: 'latency', cell: ({ p99Ms }) => latency(p99Ms) },
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
    title: 'Cost',
    window: 'US dollars',
    cell: ({ costUsd }) => orDash(costUsd, dollars),
    present: ({ costUsd }) => costUsd !== null,
  },
  {
    title: 'Cost of 1,000',
    window: 'US dollars, priced requests',
    cell: ({ costPer1000Usd }) => orDash(costPer1000Usd, dollars),
    present: ({ costPer1000Usd }) => costPer1000Usd !== null,
  },
  {
    title: 'Value',
    window: 'US dollars',
    cell: ({ valueUsd }) => orDash(valueUsd, dollars),
    present: ({ valueUsd }) => valueUsd !== null,
  },
];
