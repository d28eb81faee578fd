import { useEffect, useRef, useState } from 'react';

/**
 * Charts are the dearest thing to draw: 8 ms each on a good laptop, 40 ms on a bad one. Drawn all at once they would
 * hold up the figures that a person waits for; so they take turns, one at a time, and after each the page rests so
 * long that charts take no more than this share of it.
 */
const share = 0.1;
const minRestMs = 150;
const maxRestMs = 1_000;

const queue: (() => void)[] = [];
let timer: ReturnType<typeof setTimeout> | undefined;
let nextTurnAt = Number.NEGATIVE_INFINITY;

function takeTurns(): void {
  if (timer !== undefined || queue.length === 0) return;
  timer = setTimeout(
    () => {
      const startedAt = performance.now();
      queue.shift()?.();
      // After what React and Recharts do in consequence.
      timer = setTimeout(() => {
        timer = undefined;
        const now = performance.now();
        const restMs = (now - startedAt) / share;
        nextTurnAt = now + Math.min(maxRestMs, Math.max(minRestMs, restMs));
        takeTurns();
      });
    },
    Math.max(0, nextTurnAt - performance.now()),
  );
}

/**
 * The newest value whose turn has come. It comes at once where `subject` changes, since then a person has asked for
 * something else or what was shown lacked something, and never while nobody looks.
 */
export function useTurn<T>(value: T, subject: string, wanted: boolean): T {
  const newest = useRef(value);
  newest.current = value;
  const [shown, setShown] = useState({ value, subject });
  const current = shown.subject === subject ? shown.value : value;
  const queued = useRef<() => void>(undefined);
  const wasWanted = useRef(false);
  useEffect(() => {
    const cameIntoView = wanted && !wasWanted.current;
    wasWanted.current = wanted;
    if (shown.subject !== subject) {
      setShown({ value: newest.current, subject });
      return;
    }
    // Whoever waits keeps the place: a value that changes faster than the queue moves must not start over.
    if (!wanted || shown.value === value || queued.current !== undefined) return;
    queued.current = () => {
      queued.current = undefined;
      setShown({ value: newest.current, subject });
    };
    // What just came into view may show what was so long ago: it goes before those that are seconds old.
    if (cameIntoView) queue.unshift(queued.current);
    else queue.push(queued.current);
    takeTurns();
  }, [value, subject, wanted, shown]);
  useEffect(
    () => () => {
      const place = queued.current === undefined ? -1 : queue.indexOf(queued.current);
      if (place >= 0) queue.splice(place, 1);
      queued.current = undefined;
    },
    [],
  );
  return current;
}
