import { useCallback, useMemo } from 'react';
import { useFeed } from '../app/session.ts';
import { useCell } from '../data/cell.ts';
import { FollowedLoad } from '../data/followedLoad.ts';
import { loadTotals } from '../data/queries.ts';
import { bucketStarts, type Range } from '../data/range.ts';
import type { Total } from '../data/total.ts';
import { useFollowed } from '../data/useFollowed.ts';
import { type PanelState, panelState } from '../ui/panelState.ts';

/** Quantiles do not add up in the page, so those of a window are asked for again, at most this often. */
const everyMs = 10_000;

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
      new FollowedLoad(feed, {
        everyMs,
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
