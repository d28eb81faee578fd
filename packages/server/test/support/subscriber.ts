import type { RealtimeChannel, SupabaseClient } from '@supabase/supabase-js';
import pg from 'pg';
import { startTestServer, type TestServer } from './server.ts';
import { supabaseClient } from './supabase.ts';

export interface Heard {
  readonly eventType: string;
  readonly table: string;
  readonly new: Record<string, unknown>;
}

/** A server, SQL beside it, and a supabase-js client that subscribes to its tables. */
export interface Subscriber {
  readonly server: TestServer;
  readonly pool: pg.Pool;
  readonly supabase: SupabaseClient;
  /**
   * Subscribes and resolves once the subscription is live.
   *
   * @param onGap is called with the server's words when it tells of changes that were missed
   */
  listen(
    table: string,
    options?: { filter?: string; event?: string; onGap?: (message: string) => void },
  ): Promise<Heard[]>;
  /** Ends all subscriptions: after each test. */
  leave(): Promise<void>;
  close(): Promise<void>;
}

export async function startSubscriber(): Promise<Subscriber> {
  const server = await startTestServer();
  const pool = new pg.Pool({ connectionString: server.databaseUrl, max: 4 });
  const supabase = supabaseClient(server.url);
  const channels: RealtimeChannel[] = [];
  return {
    server,
    pool,
    supabase,
    async listen(table, { filter, event = '*', onGap } = {}) {
      const heard: Heard[] = [];
      const wanted = {
        event: event as '*',
        schema: 'public',
        table,
        ...(filter === undefined ? {} : { filter }),
      };
      const channel = supabase
        .channel(`${table}-${Math.random()}`)
        .on('postgres_changes', wanted, (payload) => heard.push(payload as Heard))
        .on('system', {}, ({ status, message }: { status?: string; message?: string }) => {
          if (status === 'error') onGap?.(message ?? '');
        });
      channels.push(channel);
      await new Promise<void>((resolve, reject) => {
        channel.subscribe((status, error) => {
          if (status === 'SUBSCRIBED') resolve();
          else if (status === 'CHANNEL_ERROR') reject(error);
        });
      });
      return heard;
    },
    async leave() {
      for (const channel of channels.splice(0)) await supabase.removeChannel(channel);
    },
    async close() {
      await supabase.realtime.disconnect();
      await pool.end();
      await server.close();
    },
  };
}
