import type { RealtimeChannel } from '@supabase/supabase-js';
import { reconnectAfterMs } from './client.ts';
import type { Follow } from './followedLoad.ts';

let channels = 0;

/** Reason to ask again: a row of one of these tables was written, or may have been while nobody listened. */
export function followTables(tables: readonly string[]): Follow {
  return (feed, changed) => {
    let channel: RealtimeChannel | undefined;
    let again: ReturnType<typeof setTimeout> | undefined;
    let { epoch } = feed.data.get();
    const leave = () => {
      const left = channel;
      channel = undefined;
      clearTimeout(again);
      if (left !== undefined) void feed.client.removeChannel(left);
    };
    const join = () => {
      leave();
      const joined = feed.client.channel(`tables-${++channels}`);
      for (const table of tables)
        joined.on('postgres_changes', { event: '*', schema: 'public', table }, changed);
      joined.on('system', {}, ({ status }: { status?: string }) => {
        if (status === 'error') changed();
      });
      channel = joined;
      joined.subscribe((status) => {
        if (channel !== joined) return;
        if (status === 'SUBSCRIBED') changed();
        // CLOSED is final for a channel.
        else if (status === 'CLOSED') again = setTimeout(join, reconnectAfterMs(2));
      });
    };
    join();
    // Connected anew: the channel may be lost with the socket that was.
    const unsubscribe = feed.data.subscribe(() => {
      const before = epoch;
      epoch = feed.data.get().epoch;
      if (before > 0 && epoch !== before) join();
    });
    return () => {
      unsubscribe();
      leave();
    };
  };
}
