/** A timer that fires this much late was not late: the machine slept or the tab was frozen. */
const asleepMs = 10_000;
const tickMs = 2_000;
/** Browsers throttle hidden tabs, and drop what they hold after minutes; a glance aside is not worth a question. */
const awayMs = 30_000;

export interface Waking {
  /** Browser time of the last moment at which the page was awake for certain: now, unless a sleep was not told yet. */
  awakeUntil(): number;
  stop(): void;
}

export interface WakingEvents {
  /** The page comes back from where it could not listen; `since` is browser time. */
  woke(since: number): void;
  offline(): void;
  online(): void;
}

export function watchWaking(tell: WakingEvents): Waking {
  const aborter = new AbortController();
  const { signal } = aborter;
  let hiddenAt: number | undefined;
  let awakeAt = Date.now();

  const isLate = () => Date.now() - awakeAt > tickMs + asleepMs;
  const woke = () => {
    const since = awakeAt;
    awakeAt = Date.now();
    tell.woke(since);
  };
  const timer = setInterval(() => {
    if (!isLate()) awakeAt = Date.now();
    // A hidden tab's timers are throttled by design; it is asked about when it is shown.
    else if (document.visibilityState === 'visible') woke();
  }, tickMs);

  document.addEventListener(
    'visibilitychange',
    () => {
      if (document.visibilityState === 'hidden') {
        hiddenAt = Date.now();
        return;
      }
      const away = hiddenAt === undefined ? 0 : Date.now() - hiddenAt;
      hiddenAt = undefined;
      if (away > awayMs) woke();
    },
    { signal },
  );
  // Frozen tabs (Page Lifecycle) and pages out of the back/forward cache.
  document.addEventListener('resume', woke, { signal });
  window.addEventListener('pageshow', (event) => event.persisted && woke(), { signal });
  window.addEventListener('offline', () => tell.offline(), { signal });
  window.addEventListener('online', () => tell.online(), { signal });

  return {
    awakeUntil: () => (isLate() ? awakeAt : Date.now()),
    stop() {
      clearInterval(timer);
      aborter.abort();
    },
  };
}
