import { useEffect, useState } from 'react';
import { useFeed } from '../app/session.ts';
import { loadIsAnythingBefore } from '../data/queries.ts';
import type { Range } from '../data/range.ts';
import type { RangeRows } from './useRangeRows.ts';

/** Fewer make no picture. */
const leastBuckets = 10;

/**
 * Where charts begin: at the range's own beginning, but of a Nowcast that is younger than the range shortly before its
 * first event, which would else be a dot at the very right. Silence after older events is shown as what it is.
 */
export function useShownSince(range: Range, { rows, starts }: RangeRows): number {
  const feed = useFeed();
  const [answer, setAnswer] = useState<{ readonly range: Range; readonly isYoung: boolean }>();
  const [beginning = 0] = starts;
  const first = rows[0]?.start ?? beginning;
  // Asked once a range, not once a minute.
  const isAsked = first > beginning && answer?.range !== range;
  // biome-ignore lint/correctness/useExhaustiveDependencies: the beginning moves on each minute, the answer stays
  useEffect(() => {
    if (!isAsked) return;
    let isWanted = true;
    const settle = (isYoung: boolean) => {
      if (isWanted) setAnswer({ range, isYoung });
    };
    loadIsAnythingBefore(feed.client, beginning).then(
      (isAnything) => settle(!isAnything),
      // The whole range is never wrong.
      () => settle(false),
    );
    return () => {
      isWanted = false;
    };
  }, [feed, range, isAsked]);
  if (answer?.range !== range || !answer.isYoung) return beginning;
  return Math.max(beginning, Math.min(first - range.stepMs, starts.at(-leastBuckets) ?? beginning));
}
