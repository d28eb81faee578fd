import { useMemo, useRef } from 'react';
import type { Bucket } from '../data/bucket.ts';
import { ModelSlots, shownModels } from '../data/modelSlots.ts';
import { modelsByTraffic } from '../data/summary.ts';

export interface ShownModels {
  /** All of the range, the busiest first. */
  readonly all: readonly string[];
  /** Those that charts show. */
  readonly shown: readonly string[];
  readonly hidden: number;
  readonly slots: ReadonlyMap<string, number>;
}

/** The busiest models, and always the chosen one. */
export function useShownModels(rows: readonly Bucket[], chosen: string | undefined): ShownModels {
  const slots = useRef(new ModelSlots());
  const all = useStable(modelsByTraffic(rows));
  return useMemo(() => {
    const busiest = all.slice(0, shownModels);
    const names =
      chosen === undefined || busiest.includes(chosen)
        ? busiest
        : [...busiest.slice(0, shownModels - 1), chosen];
    // A model that the URL names before anything is loaded must not take the first colour.
    const assigned = (all.length === 0 ? new ModelSlots() : slots.current).assign(names);
    // In the order of their colours: a list that is sorted by traffic jumps under the pointer.
    const shown = [...names].sort((a, b) => assigned.get(a)! - assigned.get(b)!);
    return { all, shown, hidden: all.filter((name) => !names.includes(name)).length, slots: assigned };
  }, [all, chosen]);
}

/** The same array as long as its content is the same. */
function useStable(names: readonly string[]): readonly string[] {
  const kept = useRef(names);
  const same =
    names.length === kept.current.length && names.every((name, index) => name === kept.current[index]);
  if (!same) kept.current = names;
  return kept.current;
}
