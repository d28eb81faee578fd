/**
 * From published changes to bytes in every listener's hands, in commit order.
 *
 * Works in slices between which the event loop serves everything else: a thousand subscribers of ten
 * thousand rows must not stop ingestion. What is published meanwhile joins the next slice, so the
 * batches grow, and the cost per message falls, exactly when there is more to send.
 */
import type { Audience, Group } from './audience.ts';
import type { Change, Gap } from './change.ts';
import { EncodedChange, gapFrame } from './encode.ts';
import { type Segment, SegmentBuilder } from './segment.ts';

export interface Receiver {
  deliver(segments: readonly Segment[]): void;
}

export interface FanOutOptions {
  readonly audience: Audience<Receiver>;
  readonly maxPendingChanges: number;
  /** After each slice: the time to enforce bounds over all receivers. */
  afterSlice(): void;
  onError(error: Error): void;
}

type Entry = { readonly change: Change } | { readonly gap: Gap };

/**
 * Messages (changes times receivers) of one slice: about 25 ms for 1,000 receivers. A write costs far
 * more than the bytes in it: a quarter of this sends less than half as many messages per second.
 */
const SLICE_MESSAGES = 65_536;
/** Matching and encoding for one more group costs as much as this many messages more to a group. */
const GROUP_COST = 8;

export class FanOut {
  readonly #options: FanOutOptions;
  #pending: Entry[] = [];
  #scheduled: NodeJS.Immediate | undefined;
  #waiting: { readonly last: Entry; readonly resolve: () => void }[] = [];

  constructor(options: FanOutOptions) {
    this.#options = options;
  }

  publish(changes: readonly Change[]): void {
    // What nobody listens to is not even queued.
    const wanted = changes.filter(({ table }) => this.#options.audience.channelCount(table) > 0);
    if (wanted.length === 0) return;
    // Bounded by what waits, not by what comes: one large commit alone is never dropped.
    if (this.#pending.length > 0 && this.#pending.length + wanted.length > this.#options.maxPendingChanges) {
      this.#pending = collapse(this.#pending);
    }
    for (const change of wanted) this.#pending.push({ change });
    this.#schedule();
  }

  publishGap(gap: Gap): void {
    if (this.#options.audience.channelCount(gap.table) === 0) return;
    this.#pending.push({ gap });
    this.#schedule();
  }

  /** Resolves when everything published before the call has been handed on. */
  drained(): Promise<void> {
    const last = this.#pending.at(-1);
    if (last === undefined) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push({ last, resolve }));
  }

  /** Sends everything that waits, now. */
  flush(): void {
    while (this.#pending.length > 0) this.#slice();
  }

  stop(): void {
    clearImmediate(this.#scheduled);
    this.#pending = [];
  }

  #schedule(): void {
    this.#scheduled ??= setImmediate(() => {
      this.#scheduled = undefined;
      try {
        this.#slice();
      } catch (cause) {
        // Nothing here is expected to throw; if it does, ingestion must not go down with delivery.
        this.#options.onError(new Error('a fan-out slice failed', { cause }));
      }
      if (this.#pending.length > 0) this.#schedule();
    });
  }

  #slice(): void {
    const entries = this.#takeSlice();
    const encoded = new Map<Entry, EncodedChange>();
    for (const entry of entries) if ('change' in entry) encoded.set(entry, new EncodedChange(entry.change));
    for (const group of this.#groupsOf(entries)) {
      const builder = new SegmentBuilder();
      for (const entry of entries) this.#addFrames(builder, group, entry, encoded.get(entry));
      const segments = builder.finish();
      if (segments.length === 0) continue;
      for (const member of group.members) member.deliver(segments);
    }
    this.#options.afterSlice();
    this.#waiting = this.#waiting.filter(({ last, resolve }) => {
      if (this.#pending.includes(last)) return true;
      resolve();
      return false;
    });
  }

  #takeSlice(): readonly Entry[] {
    const costs = new Map<string, number>();
    let cost = 0;
    let count = 0;
    while (count < this.#pending.length && cost < SLICE_MESSAGES) {
      const table = tableOf(this.#pending[count]!);
      if (!costs.has(table)) costs.set(table, this.#costOf(table));
      cost += costs.get(table)!;
      count++;
    }
    return this.#pending.splice(0, count);
  }

  #costOf(table: string): number {
    let cost = 1;
    for (const group of this.#options.audience.groups(table)) cost += group.members.size + GROUP_COST;
    return cost;
  }

  #groupsOf(entries: readonly Entry[]): ReadonlySet<Group<Receiver>> {
    const groups = new Set<Group<Receiver>>();
    for (const table of new Set(entries.map(tableOf))) {
      for (const group of this.#options.audience.groups(table)) groups.add(group);
    }
    return groups;
  }

  #addFrames(
    builder: SegmentBuilder,
    group: Group<Receiver>,
    entry: Entry,
    encoded: EncodedChange | undefined,
  ): void {
    const table = tableOf(entry);
    for (const route of group.routes.get(table) ?? []) {
      if ('gap' in entry) {
        const { missed, reason } = entry.gap;
        builder.add(route.topic, gapFrame(route, table, missed, reason), missed ?? Number.POSITIVE_INFINITY);
        continue;
      }
      try {
        for (const frame of encoded!.framesFor(route)) builder.add(route.topic, frame);
      } catch (cause) {
        // A row that cannot be written as JSON is one row lost to these listeners, and they are told.
        builder.add(route.topic, gapFrame(route, table, 1, 'a row could not be encoded'));
        this.#options.onError(new Error(`a change of ${table} could not be encoded`, { cause }));
      }
    }
  }
}

function tableOf(entry: Entry): string {
  return 'gap' in entry ? entry.gap.table : entry.change.table;
}

/** One gap per table instead of the changes: their subscribers hear of it in the place where they are missing. */
function collapse(entries: readonly Entry[]): Entry[] {
  const missed = new Map<string, number | null>();
  for (const entry of entries) {
    const count = 'gap' in entry ? entry.gap.missed : 1;
    const before = missed.get(tableOf(entry));
    missed.set(tableOf(entry), before === null || count === null ? null : (before ?? 0) + count);
  }
  return [...missed].map(([table, count]) => ({
    gap: { table, missed: count, reason: 'more was published than this server can pass on' },
  }));
}
