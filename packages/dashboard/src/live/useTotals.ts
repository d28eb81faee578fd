import { useCallback, useMemo } from 'react';
import { useFeed } from '../app/session.ts';
import { useCell } from '../data/cell.ts';
import { FollowedLoad } from '../data/followedLoad.ts';
import { followPushed } from '../data/followTables.ts';
import { loadTotals } from '../data/queries.ts';
import { bucketStarts, defaultRange, type Range } from '../data/range.ts';
import { readTotal, type Total } from '../data/total.ts';
import { useFollowed } from '../data/useFollowed.ts';
import { type PanelState, panelState } from '../ui/panelState.ts';

/**
 * Quantiles do not add up in the page. The last hour's are pushed; those of a longer range are asked for again while
 * events come, at most this often.
 */
const everyMs = 10_000;

const pushedHour = followPushed('metrics_hour_totals', ({ totals }) =>
  Array.isArray(totals) ? (totals as Readonly<Record<string, unknown>>[]).map(readTotal) : undefined,
);

export interface Totals {
  /** By model version; null for all of them together. */
  readonly byModel: ReadonlyMap<string | null, Total>;
  readonly state: PanelState;
}

/** Quantiles of the whole range. */
export function useTotals(range: Range): Totals {
  const feed = useFeed();
  const follow = useCallback(
    () =>
      new FollowedLoad<readonly Total[]>(feed, {
        everyMs,
        ...(range === defaultRange && { follow: pushedHour }),
        ask: () => loadTotals(feed.client, bucketStarts(range, feed.clock.now())[0]!),
      }),
    [feed, range],
  );
  const { value, failure } = useFollowed(follow);
  const connection = useCell(feed.connection);
  const byModel = useMemo(() => new Map((value ?? []).map((total) => [total.model, total])), [value]);
  const state = panelState({
    connection,
    loaded: value !== undefined,
    failure,
    empty: value?.length === 0,
  });
  return { byModel, state };
}
