import { useEffect, useMemo, useState } from 'react';
import { useFeed } from '../app/session.ts';
import type { Bucket } from '../data/bucket.ts';
import { Cell, useCell } from '../data/cell.ts';
import type { FollowedLoad, Load } from '../data/followedLoad.ts';
import { bucketStarts, defaultRange, type Range } from '../data/range.ts';
import { composeRange, followRange } from '../data/rangeFeed.ts';
import { type PanelState, panelState } from '../ui/panelState.ts';
import { useNow } from '../ui/useNow.ts';
import { useSlowCell } from '../ui/useSlowCell.ts';

export interface RangeRows {
  readonly rows: readonly Bucket[];
  /** Another one where the rows before may have lacked something. */
  readonly edition: string;
  /** Starts of the range's buckets; the last one is under way. */
  readonly starts: readonly number[];
  readonly state: PanelState;
  readonly reload: () => void;
}

/** The last hour comes with the live feed. */
const inTheFeed = new Cell<Load<readonly Bucket[]>>({ value: [], failure: undefined });
const noBuckets: readonly Bucket[] = [];

/** What the range shows, brought up to date at most every `everyMs`. */
export function useRangeRows(range: Range, everyMs: number): RangeRows {
  const feed = useFeed();
  const [longer, setLonger] = useState<{ range: Range; feed: FollowedLoad<readonly Bucket[]> }>();
  useEffect(() => {
    if (range === defaultRange) return;
    const started = followRange(feed, range);
    setLonger({ range, feed: started });
    return () => started.stop();
  }, [feed, range]);

  const own = longer?.range === range ? longer.feed : undefined;
  const load = useCell(own?.load ?? inTheFeed);
  const live = useSlowCell(feed.data, everyMs);
  const connection = useCell(feed.connection);
  const failures = useCell(feed.failures);
  const now = useNow(feed, range.stepMs);
  const starts = useMemo(() => bucketStarts(range, now), [range, now]);
  const rows = useMemo(
    () => composeRange(range, load.value ?? noBuckets, live.minutes, now),
    [range, load.value, live.minutes, now],
  );
  const inFeed = range === defaultRange;
  const state = panelState({
    connection,
    loaded: live.newestEventAt !== undefined && (inFeed || (own !== undefined && load.value !== undefined)),
    failure: (inFeed ? undefined : load.failure) ?? failures.metrics,
    empty: rows.length === 0,
  });
  const edition = `${live.epoch} ${inFeed || load.value !== undefined}`;
  return { rows, edition, starts, state, reload: inFeed ? feed.reload : (own?.reload ?? feed.reload) };
}
