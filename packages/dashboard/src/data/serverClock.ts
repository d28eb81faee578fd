/**
 * The server's time, as far as the page can know it. Ages shown on the page are differences of server times, so a
 * browser whose clock is minutes off still shows them right.
 *
 * Whatever carries a server time was sent before it was received, so each observation is a lower bound of the
 * offset, and the largest one, that of the quickest message, is the best.
 */
export class ServerClock {
  readonly #localNow: () => number;
  #offsetMs: number | undefined;

  constructor(localNow: () => number = Date.now) {
    this.#localNow = localNow;
  }

  observe(serverMs: number): void {
    if (!Number.isFinite(serverMs)) return;
    const offsetMs = serverMs - this.#localNow();
    if (this.#offsetMs === undefined || offsetMs > this.#offsetMs) this.#offsetMs = offsetMs;
  }

  /** Milliseconds since 1970; the browser's own clock before the first observation. */
  now(): number {
    return this.at(this.#localNow());
  }

  /** What the server's clock showed at a moment of the browser's. */
  at(localMs: number): number {
    return localMs + (this.#offsetMs ?? 0);
  }

  /** Whether a server time was seen yet. */
  get known(): boolean {
    return this.#offsetMs !== undefined;
  }

  /** After a sleep the browser's clock may have been set: what was learnt no longer counts. */
  forget(): void {
    this.#offsetMs = undefined;
  }
}
