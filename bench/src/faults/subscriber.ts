import { createClient, type SupabaseClient } from '@supabase/supabase-js';
import ws from 'ws';
import type { History } from './history.ts';

interface Period {
  readonly sinceMs: number;
  untilMs: number | undefined;
  readonly received: Map<string, number>;
  /** The server said that something was left out. */
  gaps: number;
}

export interface DeliveryVerdict {
  readonly periods: number;
  readonly received: number;
  readonly gaps: number;
  readonly missing: string[];
  readonly doubled: string[];
}

type Transport = NonNullable<NonNullable<Parameters<typeof createClient>[2]>['realtime']>['transport'];

/** A dashboard with the real supabase-js, which reconnects by itself. */
export class Subscriber {
  readonly #client: SupabaseClient;
  readonly #lagMs: number;
  readonly #periods: Period[] = [];
  #lastReceivedAt = performance.now();

  /** @param lagMs delivery may lag behind the acknowledgement by this much; rows younger than it at a disconnect are not asked for */
  constructor(url: string, lagMs: number) {
    this.#lagMs = lagMs;
    this.#client = createClient(url, 'any-key', {
      // Node before 22 has no WebSocket of its own; the types of ws differ from the DOM's in details.
      realtime: { transport: ws as unknown as NonNullable<Transport>, reconnectAfterMs: () => 100 },
    });
    this.#client
      .channel('faults')
      .on(
        'postgres_changes',
        { event: 'INSERT', schema: 'public', table: 'inference_logs', filter: 'model_version=eq.watched' },
        ({ new: row }) => this.#receive(String((row as { trace_id: unknown }).trace_id)),
      )
      .on('system', {}, ({ status }: { status: string }) => {
        const period = this.#open();
        if (status !== 'ok' && period !== undefined) period.gaps += 1;
      })
      .subscribe((status) => {
        const now = performance.now();
        const open = this.#open();
        if (open !== undefined) open.untilMs = now;
        if (status === 'SUBSCRIBED') {
          this.#periods.push({ sinceMs: now, untilMs: undefined, received: new Map(), gaps: 0 });
        }
      });
  }

  get quietForMs(): number {
    return performance.now() - this.#lastReceivedAt;
  }

  async close(): Promise<void> {
    await this.#client.removeAllChannels();
    await this.#client.realtime.disconnect();
  }

  /**
   * Within each period of one connection: nothing twice, and everything that was sent after it began and
   * acknowledged well before it ended, unless the server told of a gap.
   */
  judge(history: History): DeliveryVerdict {
    const missing: string[] = [];
    const doubled: string[] = [];
    const watched = [...history.requests.values()].filter((request) => request.watched);
    for (const { sinceMs, untilMs, received, gaps } of this.#periods) {
      for (const [traceId, times] of received) if (times > 1) doubled.push(traceId);
      if (gaps > 0) continue;
      const latestMs = untilMs === undefined ? Number.POSITIVE_INFINITY : untilMs - this.#lagMs;
      for (const { name, events, firstSentAtMs, acknowledgedAtMs } of watched) {
        if (acknowledgedAtMs === undefined || firstSentAtMs < sinceMs || acknowledgedAtMs > latestMs)
          continue;
        for (let index = 0; index < events; index += 1) {
          if (!received.has(`${name}:${index}`)) missing.push(`${name}:${index}`);
        }
      }
    }
    const sum = (of: (period: Period) => number) =>
      this.#periods.reduce((total, period) => total + of(period), 0);
    return {
      periods: this.#periods.length,
      received: sum((period) => period.received.size),
      gaps: sum((period) => period.gaps),
      missing,
      doubled,
    };
  }

  #open(): Period | undefined {
    const last = this.#periods.at(-1);
    return last?.untilMs === undefined ? last : undefined;
  }

  #receive(traceId: string): void {
    this.#lastReceivedAt = performance.now();
    const received = this.#open()?.received;
    received?.set(traceId, (received.get(traceId) ?? 0) + 1);
  }
}
