import { useCallback } from 'react';
import { useFeed } from '../app/session.ts';
import { useCell } from '../data/cell.ts';
import { FollowedLoad } from '../data/followedLoad.ts';
import { followTables } from '../data/followTables.ts';
import type { LiveFeed } from '../data/liveFeed.ts';
import { useFollowed } from '../data/useFollowed.ts';
import { type PanelState, panelState } from '../ui/panelState.ts';

/** A storm of alerts is not followed one by one. */
const everyMs = 1_000;

export interface AlertLoad<T> {
  readonly value: T | undefined;
  readonly state: PanelState;
  readonly reload: () => void;
}

/** What the server says of alerts, brought up to date whenever one of the tables changes. `ask` is compared. */
export function useAlertLoad<T>(tables: string, ask: (feed: LiveFeed) => Promise<T>): AlertLoad<T> {
  const feed = useFeed();
  const connection = useCell(feed.connection);
  const { value, failure, reload } = useFollowed(
    useCallback(
      () =>
        new FollowedLoad(feed, {
          everyMs,
          follow: followTables(tables.split(' ')),
          ask: () => ask(feed),
        }),
      [feed, tables, ask],
    ),
  );
  const state = panelState({
    connection,
    loaded: value !== undefined,
    failure,
    empty: Array.isArray(value) && value.length === 0,
  });
  return { value, state, reload };
}
