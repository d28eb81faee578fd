import type { RealtimeChannel } from '@supabase/supabase-js';
import { reconnectAfterMs } from './client.ts';
import type { Follow } from './followedLoad.ts';
import type { LiveFeed } from './liveFeed.ts';

let channels = 0;

/** Reason to ask again: a row of one of these tables was written, or may have been while nobody listened. */
export function followTables(tables: readonly string[]): Follow<never> {
  return (feed, { changed }) => listen(feed, tables, { onRow: changed, onMaybeMissed: changed });
}

/** What is asked for once, and after that pushed as rows of `table`. `read` gives undefined for what it cannot read. */
export function followPushed<T>(
  table: string,
  read: (row: Readonly<Record<string, unknown>>) => T | undefined,
): Follow<T> {
  return (feed, { take }) =>
    listen(feed, [table], {
      onRow: (row) => {
        const value = read(row);
        if (value !== undefined) take(value);
      },
      // The server pushes to whoever comes; a gap of the connection is asked for by everybody.
      onMaybeMissed: () => undefined,
    });
}

interface Listener {
  readonly onRow: (row: Readonly<Record<string, unknown>>) => void;
  readonly onMaybeMissed: () => void;
}

/** @returns ends it */
export function listen(
  feed: LiveFeed,
  tables: readonly string[],
  { onRow, onMaybeMissed }: Listener,
): () => void {
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
    for (const table of tables) {
      joined.on(
        'postgres_changes',
        { event: '*', schema: 'public', table },
        ({ new: row }: { new: Record<string, unknown> }) => onRow(row),
      );
    }
    joined.on('system', {}, ({ status }: { status?: string }) => {
      if (status === 'error') onMaybeMissed();
    });
    channel = joined;
    joined.subscribe((status) => {
      if (channel !== joined) return;
      if (status === 'SUBSCRIBED') onMaybeMissed();
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
}
