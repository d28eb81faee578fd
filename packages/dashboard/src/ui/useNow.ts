import { useEffect, useState } from 'react';

export interface NowSource {
  /** Milliseconds since 1970. */
  now(): number;
}

/**
 * A time, ticking: the feed's, which stands still where the page knows of nothing, or the clock's, for ages. Rounded
 * down to `stepMs`, so that whoever shows minutes renders once a minute.
 */
export function useNow(source: NowSource, stepMs = 1_000): number {
  const [now, setNow] = useState(() => floor(source.now(), stepMs));
  useEffect(() => {
    const tick = () => setNow(floor(source.now(), stepMs));
    tick();
    const timer = setInterval(tick, Math.min(stepMs, 1_000));
    return () => clearInterval(timer);
  }, [source, stepMs]);
  return now;
}

function floor(at: number, stepMs: number): number {
  return Math.floor(at / stepMs) * stepMs;
}
