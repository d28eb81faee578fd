import { useCallback } from 'react';
import { go, usePlace } from '../app/router.ts';
import { useFeed } from '../app/session.ts';
import { useCell } from '../data/cell.ts';
import { type Follow, FollowedLoad, followEvents } from '../data/followedLoad.ts';
import { followPushed, listen } from '../data/followTables.ts';
import { timeWithSeconds } from '../data/format.ts';
import { readHealth } from '../data/health.ts';
import { loadHealth, loadLosses } from '../data/queries.ts';
import { bucketStarts, defaultRange, rangeById, ranges } from '../data/range.ts';
import { useFollowed } from '../data/useFollowed.ts';
import { panelState } from '../ui/panelState.ts';
import { Segmented } from '../ui/Segmented.tsx';
import { VerdictCard } from '../ui/VerdictCard.tsx';
import { judgeHealth } from './judgeHealth.ts';
import { LossTable } from './LossTable.tsx';
import { StagePanel } from './StagePanel.tsx';

/** Losses come with and without an event. */
const lossesEveryMs = 2_000;

const pushedHealth = followPushed('pipeline_status', ({ health }) =>
  typeof health === 'object' && health !== null ? readHealth(health) : undefined,
);

const changedLosses: Follow<never> = (feed, signals) => {
  let known: unknown;
  const stops = [
    followEvents(feed, signals),
    listen(feed, ['pipeline_status'], {
      onRow: ({ losses_changed_at: at }) => {
        if (at !== known) signals.changed();
        known = at;
      },
      onMaybeMissed: () => undefined,
    }),
  ];
  return () => {
    for (const stop of stops) stop();
  };
};

/** Does the monitor itself work, and what became of everything that was sent? */
export default function PipelinePage() {
  const feed = useFeed();
  const connection = useCell(feed.connection);
  const range = rangeById(usePlace().params.get('range'));
  const health = useFollowed(
    useCallback(() => new FollowedLoad(feed, { everyMs: 0, follow: pushedHealth, ask: loadHealth }), [feed]),
  );
  const losses = useFollowed(
    useCallback(
      () =>
        new FollowedLoad(feed, {
          everyMs: lossesEveryMs,
          follow: changedLosses,
          ask: () => loadLosses(feed.client, bucketStarts(range, feed.clock.now())[0]!),
        }),
      [feed, range],
    ),
  );
  const { level, sentence, reasons } = judgeHealth({
    connection,
    health: health.value,
    failed: health.failure !== undefined,
  });
  const measured = health.value && `Measured at ${timeWithSeconds(health.value.at)}`;
  const stateOf = ({ value, failure }: Pick<typeof losses | typeof health, 'value' | 'failure'>) =>
    panelState({
      connection,
      loaded: value !== undefined,
      failure,
      empty: Array.isArray(value) && value.length === 0,
    });
  return (
    <div className="grid grid-cols-[minmax(0,1fr)] gap-3">
      <VerdictCard
        label="Does the monitor itself work?"
        level={level}
        sentence={sentence}
        aside={<p className="text-caption text-muted sm:text-right">{measured ?? 'Not measured yet'}</p>}
      >
        {reasons.map((reason) => (
          <li key={reason} className="min-w-0 break-words">
            {reason}
          </li>
        ))}
      </VerdictCard>
      <StagePanel health={health.value} measured={measured} state={stateOf(health)} onRetry={health.reload} />
      <LossTable
        rows={losses.value ?? []}
        window={range.window}
        state={stateOf(losses)}
        onRetry={losses.reload}
        actions={
          <Segmented
            label="Range"
            value={range.id}
            onChange={(id) => go({ params: { range: id === defaultRange.id ? null : id } })}
            options={ranges.map(({ id, short, window }) => ({ value: id, label: short, name: window }))}
          />
        }
      />
    </div>
  );
}
