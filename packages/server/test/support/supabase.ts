import { createClient, type SupabaseClient } from '@supabase/supabase-js';
import ws from 'ws';

type Transport = NonNullable<NonNullable<Parameters<typeof createClient>[2]>['realtime']>['transport'];

/** The real client; Node before 22 has no WebSocket of its own. */
export function supabaseClient(url: string, key = 'any-key'): SupabaseClient {
  // The types of ws differ from the DOM's in details that the client does not use.
  const transport = ws as unknown as NonNullable<Transport>;
  // What its ten seconds would end on a machine that stands still, the test's own timeout ends.
  return createClient(url, key, { realtime: { transport, timeout: 60_000 } });
}
