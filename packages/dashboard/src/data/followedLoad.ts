import { Cell } from './cell.ts';
import { reconnectAfterMs } from './client.ts';
import type { LiveFeed } from './liveFeed.ts';
import { LoadError } from './queries.ts';

/** What comes together is one change. */
const gatherMs = 500;

export interface Load<T> {
  readonly value: T | undefined;
  readonly failure: LoadError | undefined;
}

export interface FollowedLoadOptions<T> {
  /** While there is reason it is asked again, at most this often. */
  readonly everyMs: number;
  /** What gives reason; events where nothing else is said. */
  readonly follow?: Follow<T>;
  /** @param known what an answer may build on; undefined where something may have been missed */
  readonly ask: (known: T | undefined) => Promise<T>;
}

interface Signals<T> {
  /** What was loaded may not hold any more: it is asked for again. */
  readonly changed: () => void;
  /** The new value came by itself. */
  readonly take: (value: T) => void;
}

/** @returns ends it */
export type Follow<T> = (feed: LiveFeed, signals: Signals<T>) => () => void;

export const followEvents: Follow<never> = (feed, { changed }) => {
  let { arrived } = feed.data.get();
  return feed.data.subscribe(() => {
    const now = feed.data.get().arrived;
    if (now === arrived) return;
    arrived = now;
    changed();
  });
};

/**
 * Something that only a request can tell, kept as fresh as there is reason for: asked for once, again when what it
 * follows has changed, and anew after a gap. Nothing is asked while nothing happens.
 */
export class FollowedLoad<T> {
  readonly load = new Cell<Load<T>>({ value: undefined, failure: undefined });
  readonly #feed: LiveFeed;
  readonly #options: FollowedLoadOptions<T>;
  readonly #unsubscribe: readonly (() => void)[];
  #epoch = -1;
  #anew = true;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #askedAt = 0;
  #loads = 0;
  #stopped = false;

  constructor(feed: LiveFeed, options: FollowedLoadOptions<T>) {
    this.#feed = feed;
    this.#options = options;
    this.#unsubscribe = [
      feed.data.subscribe(() => this.#liveChanged()),
      (options.follow ?? followEvents)(feed, {
        changed: () => this.#changed(),
        take: (value) => this.#take(value),
      }),
    ];
    this.#liveChanged();
  }

  stop(): void {
    this.#stopped = true;
    for (const unsubscribe of this.#unsubscribe) unsubscribe();
    clearTimeout(this.#timer);
  }

  readonly reload = (): void => {
    this.#anew = true;
    void this.#ask(0);
  };

  #liveChanged(): void {
    const { epoch } = this.#feed.data.get();
    if (epoch === this.#epoch) return;
    // The first time, or something may have been missed.
    this.#epoch = epoch;
    this.reload();
  }

  #changed(): void {
    if (this.#stopped) return;
    const restMs = this.#askedAt + this.#options.everyMs - performance.now();
    this.#timer ??= setTimeout(() => void this.#ask(0), Math.max(gatherMs, restMs));
  }

  #take(value: T): void {
    if (this.#stopped) return;
    // What was asked for before is older.
    this.#loads++;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.load.set({ value, failure: undefined });
  }

  /** Never rejects: a failure is shown, and it is tried again. */
  async #ask(tries: number): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#stopped) return;
    const load = ++this.#loads;
    const isCurrent = () => load === this.#loads && !this.#stopped;
    this.#askedAt = performance.now();
    try {
      const value = await this.#options.ask(this.#anew ? undefined : this.load.get().value);
      if (!isCurrent()) return;
      this.#anew = false;
      this.load.set({ value, failure: undefined });
    } catch (error) {
      if (!isCurrent()) return;
      const failure = error instanceof LoadError ? error : new LoadError(String(error), 0);
      this.load.set({ ...this.load.get(), failure });
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => void this.#ask(tries + 1), reconnectAfterMs(tries + 2));
    }
  }
}
