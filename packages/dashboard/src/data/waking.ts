/** A timer that fires this much late was not late: the machine slept or the tab was frozen. */
const asleepMs = 10_000;
const tickMs = 2_000;
/** Browsers throttle hidden tabs, and drop what they hold after minutes; a glance aside is not worth a question. */
const awayMs = 30_000;

/** Tells when the page comes back from where it could not listen. */
export function watchWaking(tell: { woke(): void; offline(): void; online(): void }): () => void {
  const aborter = new AbortController();
  const { signal } = aborter;
  let hiddenAt: number | undefined;
  let tickedAt = Date.now();

  const timer = setInterval(() => {
    const late = Date.now() - tickedAt - tickMs;
    tickedAt = Date.now();
    // A hidden tab's timers are throttled by design; it is asked about when it is shown.
    if (late > asleepMs && document.visibilityState === 'visible') tell.woke();
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
      tickedAt = Date.now();
      if (away > awayMs) tell.woke();
    },
    { signal },
  );
  // Frozen tabs (Page Lifecycle) and pages out of the back/forward cache.
  document.addEventListener('resume', () => tell.woke(), { signal });
  window.addEventListener('pageshow', (event) => event.persisted && tell.woke(), { signal });
  window.addEventListener('offline', () => tell.offline(), { signal });
  window.addEventListener('online', () => tell.online(), { signal });

  return () => {
    clearInterval(timer);
    aborter.abort();
  };
}
