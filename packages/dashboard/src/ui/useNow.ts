import { useEffect, useState } from 'react';
import type { ServerClock } from '../data/serverClock.ts';

/**
 * The server's time, ticking. Rounded down to `stepMs`, so that whoever shows minutes renders once a minute. While
 * `stopped` it stands still: time that the page knows nothing of must not look like time in which nothing happened.
 */
export function useNow(clock: ServerClock, stepMs = 1_000, stopped = false): number {
  const [now, setNow] = useState(() => floor(clock.now(), stepMs));
  useEffect(() => {
    if (stopped) return;
    const tick = () => setNow(floor(clock.now(), stepMs));
    tick();
    const timer = setInterval(tick, Math.min(stepMs, 1_000));
    return () => clearInterval(timer);
  }, [clock, stepMs, stopped]);
  return now;
}

function floor(at: number, stepMs: number): number {
  return Math.floor(at / stepMs) * stepMs;
}
