import { useEffect, useState } from 'react';
import type { Cell } from '../data/cell.ts';

/**
 * A cell's value, at once after a quiet moment and then at most every `everyMs`: charts are too dear to be redrawn
 * ten times a second, and nobody reads them that fast.
 */
export function useSlowCell<T>(cell: Cell<T>, everyMs: number): T {
  const [value, setValue] = useState(cell.get);
  useEffect(() => {
    let tookAt = Number.NEGATIVE_INFINITY;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const take = () => {
      timer = undefined;
      tookAt = performance.now();
      setValue(() => cell.get());
    };
    const changed = () => {
      if (timer !== undefined) return;
      const rest = tookAt + everyMs - performance.now();
      if (rest <= 0) take();
      else timer = setTimeout(take, rest);
    };
    take();
    const unsubscribe = cell.subscribe(changed);
    return () => {
      unsubscribe();
      clearTimeout(timer);
    };
  }, [cell, everyMs]);
  return value;
}
