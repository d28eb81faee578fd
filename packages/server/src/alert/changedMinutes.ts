import { minuteMs } from './timeline.ts';

/** Minutes are read again so long after their last event: the compactor gives them their quantiles a moment later. */
const settleMs = 2_500;
/** The minute before is read so long in any case: detectors are shown it, with its quantiles. */
const closingMs = 5_000;

interface Heard {
  readonly sinceMs: number;
  readonly atMs: number;
  /** Not read since. */
  readonly isNew: boolean;
}

/**
 * Which of the newest minutes are worth reading: the open one, and the one before it where it changed too; none while
 * nothing comes. What is older is read once a minute, so that a look costs the same whatever comes late.
 */
export class ChangedMinutes {
  readonly #unpromptedMs: number;
  #heard: readonly Heard[] = [];
  #readAtMs = Number.NEGATIVE_INFINITY;

  /** @param unpromptedMs without a word the minutes are read so often: whoever tells of events may be gone */
  constructor(unpromptedMs: number) {
    this.#unpromptedMs = unpromptedMs;
  }

  /** Events from this time on were committed. */
  hear(sinceMs: number, nowMs: number): void {
    const last = this.#heard.at(-1);
    const merged = last?.isNew ? Math.min(last.sinceMs, sinceMs) : sinceMs;
    this.#heard = [
      ...this.#heard.filter(({ isNew }) => !isNew),
      { sinceMs: merged, atMs: nowMs, isNew: true },
    ];
  }

  /** From which minute on to read now; undefined for nothing. What is heard from here on is for the next time. */
  next(nowMs: number): number | undefined {
    const openMs = Math.floor(nowMs / minuteMs) * minuteMs;
    if (this.#heard.length === 0 && nowMs - this.#readAtMs < this.#unpromptedMs) return undefined;
    const isOpenOnly =
      this.#heard.length > 0 &&
      nowMs - openMs >= closingMs &&
      this.#heard.every(({ sinceMs }) => sinceMs >= openMs);
    this.#heard = this.#heard.map((heard) => ({ ...heard, isNew: false }));
    return isOpenOnly ? openMs : openMs - minuteMs;
  }

  /** They were read, as `next` said at that time; what could not be read stays to be read. */
  read(nowMs: number): void {
    this.#readAtMs = nowMs;
    this.#heard = this.#heard.filter(({ atMs, isNew }) => isNew || nowMs - atMs < settleMs);
  }
}
