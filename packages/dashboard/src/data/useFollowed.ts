import { useEffect, useState } from 'react';
import { Cell, useCell } from './cell.ts';
import type { FollowedLoad, Load } from './followedLoad.ts';

const nothing = new Cell<Load<never>>({ value: undefined, failure: undefined });

export interface Followed<T> extends Load<T> {
  readonly reload: () => void;
}

/** Follows something for as long as it is shown. `follow` is compared: keep it with useCallback. */
export function useFollowed<T>(follow: () => FollowedLoad<T>): Followed<T> {
  const [started, setStarted] = useState<{ follow: typeof follow; load: FollowedLoad<T> }>();
  useEffect(() => {
    const load = follow();
    setStarted({ follow, load });
    return () => load.stop();
  }, [follow]);
  // What was asked for before says nothing about what is asked for now.
  const own = started?.follow === follow ? started.load : undefined;
  const { value, failure } = useCell<Load<T>>(own?.load ?? nothing);
  return { value, failure, reload: own?.reload ?? doNothing };
}

function doNothing(): void {}
