import { createClient, type SupabaseClient } from '@supabase/supabase-js';
import type { ServerClock } from './serverClock.ts';

/** Shorter than supabase-js' 25 s: a dead connection is noticed, and said, within two of them. */
const heartbeatMs = 10_000;
export const requestTimeoutMs = 15_000;
const reconnectStepsMs = [300, 1_000, 2_000, 5_000];

export interface ClientHooks {
  readonly clock: ServerClock;
  /** Requests or the socket were refused for want of a (better) key. */
  refused(): void;
  heartbeat(status: string): void;
}

/** The only way from the page to the server: an ordinary Supabase client, to the server that served the page. */
export function makeClient(key: string, { clock, refused, heartbeat }: ClientHooks): SupabaseClient {
  return createClient(location.origin, key, {
    // Nobody signs in here, so that part of supabase-js is left out: see supabaseParts.ts.
    accessToken: async () => key,
    db: { timeout: requestTimeoutMs },
    global: {
      fetch: async (input, init) => {
        const response = await fetch(input, init);
        clock.observe(Date.parse(response.headers.get('date') ?? ''));
        // What changes something may need another key than what reads: whoever asked says so.
        if (response.status === 401 && ['GET', 'HEAD'].includes(init?.method ?? 'GET')) refused();
        return response;
      },
    },
    realtime: { heartbeatIntervalMs: heartbeatMs, heartbeatCallback: heartbeat, reconnectAfterMs },
  });
}

/** With jitter: after a restart of the server a thousand pages must not come back in the same instant. */
export function reconnectAfterMs(tries: number): number {
  const base = reconnectStepsMs[Math.min(tries, reconnectStepsMs.length) - 1] ?? reconnectStepsMs[0]!;
  return base * (0.5 + Math.random());
}
