import type { RealtimeChannel } from '@supabase/supabase-js';
import { Cell } from './cell.ts';
import { type InferenceEvent, readEvent } from './event.ts';
import type { LiveFeed } from './liveFeed.ts';
import { minuteMs } from './minutes.ts';
import { LoadError, loadEvents } from './queries.ts';
import { quote } from './quote.ts';

/** What is kept, and so the most that is drawn. */
const keptEvents = 120;
/** Six times a second is as fast as rows can be made out. */
const drawEveryMs = 160;
/** Of what came since the last drawing, the newest so many are drawn; the others are counted. */
const drawnAtOnce = 12;
/**
 * Above this rate rows are no longer subscribed to: 10,000 a second would keep the page busy parsing what nobody
 * could read. It then looks at the newest ones once a second, as long as some come.
 */
const streamPerSecond = 200;
/** Well below the bound above, so that the tail does not go to and fro. */
const streamAgainPerSecond = 100;
const sampleEveryMs = 1_000;
const sampledEvents = 24;
/** Quiet looks before it subscribes again: the pulse of a flood may come a little after its first rows. */
const quietLooks = 3;
/** Counted anew from time to time: the feed lets go of minutes that are older than two hours. */
const recountMs = 30 * minuteMs;

export interface Tail {
  /** Newest first. */
  readonly events: readonly InferenceEvent[];
  readonly notShown: number;
  readonly mode: 'starting' | 'stream' | 'sample';
  readonly failure: LoadError | undefined;
}

const nothing: Tail = { events: [], notShown: 0, mode: 'starting', failure: undefined };
let runs = 0;
let channels = 0;

/** Single events as they come. Costs nothing while it is stopped: it subscribes only between start and stop. */
export class TailFeed {
  readonly tail = new Cell<Tail>(nothing);
  readonly #feed: LiveFeed;
  readonly #model: string | undefined;
  #events: InferenceEvent[] = [];
  #waiting: InferenceEvent[] = [];
  #notShown = 0;
  #mode: Tail['mode'] = 'starting';
  #failure: LoadError | undefined;
  #channel: RealtimeChannel | undefined;
  #unsubscribe: (() => void) | undefined;
  #drawTimer: ReturnType<typeof setTimeout> | undefined;
  #sampleTimer: ReturnType<typeof setTimeout> | undefined;
  #settleTimer: ReturnType<typeof setTimeout> | undefined;
  /** Server time. */
  #startedAt = 0;
  /** Requests of the pulse from this minute on are what is accounted for: drawn, or counted as not shown. */
  #sinceMinute = 0;
  #requestsAtStart = 0;
  #accounted = 0;
  /** Rows come, and what came before them was looked up: whatever is missing now is lost. */
  #isStreaming = false;
  /** What was missing a second ago. */
  #wasMissing = 0;
  #quiet = 0;
  #epoch = 0;
  #second = { startedAt: 0, events: 0 };
  /** Which start this is; undefined while stopped. What an earlier one began may end after it. */
  #run: number | undefined;

  constructor(feed: LiveFeed, model: string | undefined) {
    this.#feed = feed;
    this.#model = model;
  }

  start(): void {
    if (this.#run !== undefined) return;
    this.#run = ++runs;
    this.#epoch = this.#feed.data.get().epoch;
    this.#startedAt = this.#feed.clock.now();
    this.#sinceMinute = Math.floor(this.#startedAt / minuteMs) * minuteMs;
    this.#requestsAtStart = this.#requests();
    this.#accounted = 0;
    this.#unsubscribe = this.#feed.data.subscribe(() => this.#liveChanged());
    this.#stream();
  }

  /** What is shown stays. */
  stop(): void {
    this.#run = undefined;
    this.#unsubscribe?.();
    this.#leave();
    for (const timer of [this.#sampleTimer, this.#settleTimer, this.#drawTimer]) clearTimeout(timer);
    this.#sampleTimer = this.#settleTimer = this.#drawTimer = undefined;
    this.#waiting = [];
  }

  #stream(): void {
    if (this.#mode === 'sample') this.#mode = 'stream';
    this.#second = { startedAt: performance.now(), events: 0 };
    const channel = this.#feed.client.channel(`tail-${++channels}`).on(
      'postgres_changes',
      {
        event: 'INSERT',
        schema: 'public',
        table: 'inference_logs',
        ...(this.#model !== undefined && { filter: `model_version=eq.${quote(this.#model)}` }),
      },
      ({ new: row }: { new: Record<string, unknown> }) => this.#take(row),
    );
    this.#channel = channel;
    channel.subscribe((status, error) => {
      if (this.#channel !== channel) return;
      const isSubscribed = status === 'SUBSCRIBED';
      this.#failure = isSubscribed ? undefined : new LoadError(error?.message ?? 'not subscribed', 0);
      this.#drawSoon();
      // Not before: what comes between a look and the subscription would be neither shown nor counted.
      if (isSubscribed) void this.#look(this.#events.length === 0 ? keptEvents / 4 : sampledEvents);
    });
  }

  #leave(): void {
    const channel = this.#channel;
    this.#channel = undefined;
    this.#isStreaming = false;
    this.#wasMissing = 0;
    if (channel !== undefined) void this.#feed.client.removeChannel(channel);
  }

  #take(row: Record<string, unknown>): void {
    // Frames that were under way when the channel was left.
    if (this.#channel === undefined) return;
    const now = performance.now();
    if (now - this.#second.startedAt > 1_000) this.#second = { startedAt: now, events: 0 };
    if (++this.#second.events > streamPerSecond) {
      this.#leave();
      this.#mode = 'sample';
      this.#quiet = 0;
      this.#sampleSoon();
    }
    const event = readEvent(row);
    // It was looked up before its frame came.
    if ([...this.#events, ...this.#waiting].some(({ id }) => id === event.id)) return;
    // Late events belong to minutes that are not counted.
    if (event.at >= this.#sinceMinute) this.#accounted++;
    // Only the newest are ever drawn, so the others need not be kept until then.
    if (this.#waiting.push(event) > drawnAtOnce) {
      this.#waiting.shift();
      this.#notShown++;
    }
    this.#drawSoon();
  }

  #liveChanged(): void {
    const { epoch } = this.#feed.data.get();
    if (epoch !== this.#epoch) {
      // Connected anew: a channel that was lost on the way is made anew, and what was missed looked up.
      this.#epoch = epoch;
      if (this.#mode === 'sample') {
        void this.#look(sampledEvents);
      } else {
        this.#leave();
        this.#stream();
      }
    } else if (this.#mode === 'sample') {
      this.#sampleSoon();
    } else {
      this.#settleSoon();
    }
  }

  /**
   * Rows that came while the channel was being joined, or that sampling left out, are never streamed: the pulse tells
   * how many. What is missing twice is not merely on its way.
   */
  #settleSoon(): void {
    this.#settleTimer ??= setTimeout(() => {
      this.#settleTimer = undefined;
      if (!this.#isStreaming) return;
      const missing = this.#missing();
      const lost = Math.min(missing, this.#wasMissing);
      this.#wasMissing = missing - lost;
      if (lost > 0) {
        this.#accounted += lost;
        this.#notShown += lost;
        this.#drawSoon();
      }
      if (this.#wasMissing > 0) this.#settleSoon();
    }, sampleEveryMs);
  }

  #sampleSoon(): void {
    const run = this.#run;
    this.#sampleTimer ??= setTimeout(async () => {
      const came = this.#missing();
      if (came > 0) {
        this.#accounted += came;
        const drawn = await this.#look(sampledEvents);
        if (run !== this.#run) return;
        this.#notShown += Math.max(0, came - drawn);
        this.#draw();
      }
      this.#sampleTimer = undefined;
      this.#quiet = came < streamAgainPerSecond ? this.#quiet + 1 : 0;
      if (this.#quiet >= quietLooks) this.#stream();
      // What came during a slow look may have been the last.
      else if (this.#quiet > 0 || this.#missing() > 0) this.#sampleSoon();
      // Otherwise the next change of the pulse looks again: a silent system is not asked.
    }, sampleEveryMs);
  }

  /** Asks for the newest events; resolves with how many of them were not known. */
  async #look(limit: number): Promise<number> {
    const run = this.#run;
    try {
      const newest = await loadEvents(this.#feed.client, {
        until: this.#feed.clock.now() + 1_000,
        model: this.#model,
        limit,
      });
      if (run !== this.#run) return 0;
      if (this.#mode === 'starting') this.#mode = 'stream';
      this.#failure = undefined;
      const known = new Set([...this.#events, ...this.#waiting].map(({ id }) => id));
      const fresh = newest.filter(({ id }) => !known.has(id));
      // A sample is taken of what is accounted for already.
      if (this.#mode === 'stream') this.#accounted += fresh.filter(({ at }) => at >= this.#startedAt).length;
      this.#waiting.unshift(...fresh.reverse());
      this.#draw();
      if (this.#mode === 'stream' && this.#channel !== undefined) {
        this.#isStreaming = true;
        this.#settleSoon();
      }
      return fresh.length;
    } catch (error) {
      if (run !== this.#run) return 0;
      if (this.#mode === 'starting') this.#mode = 'stream';
      this.#failure = error instanceof LoadError ? error : new LoadError(String(error), 0);
      this.#draw();
      return 0;
    }
  }

  /** Requests of the pulse that are neither drawn nor counted as not shown. */
  #missing(): number {
    const missing = this.#requests() - this.#requestsAtStart - this.#accounted;
    const minute = Math.floor(this.#feed.clock.now() / minuteMs) * minuteMs;
    if (minute - this.#sinceMinute > recountMs) {
      this.#sinceMinute = minute;
      this.#requestsAtStart = this.#requests();
      this.#accounted = -missing;
    }
    return Math.max(0, missing);
  }

  #requests(): number {
    let requests = 0;
    for (const row of this.#feed.data.get().minutes) {
      if (row.start < this.#sinceMinute) continue;
      if (this.#model === undefined || row.model === this.#model) requests += row.requests;
    }
    return requests;
  }

  #drawSoon(): void {
    this.#drawTimer ??= setTimeout(() => this.#draw(), drawEveryMs);
  }

  #draw(): void {
    clearTimeout(this.#drawTimer);
    this.#drawTimer = undefined;
    this.#events = [...this.#waiting.reverse(), ...this.#events].slice(0, keptEvents);
    this.#waiting = [];
    this.tail.set({
      events: this.#events,
      notShown: this.#notShown,
      mode: this.#mode,
      failure: this.#failure,
    });
  }
}
