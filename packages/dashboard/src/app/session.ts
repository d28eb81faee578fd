import { keepKey, readKey, takeKeyFromUrl } from '../data/access.ts';
import { Cell, useCell } from '../data/cell.ts';
import { LiveFeed } from '../data/liveFeed.ts';

takeKeyFromUrl();

/** Made before the first render: the socket opens while React is still starting. */
const feed = new Cell(new LiveFeed(readKey()));

export function useFeed(): LiveFeed {
  return useCell(feed);
}

/** Starts anew with another key, and keeps it in this browser. */
export function signIn(key: string): LiveFeed {
  keepKey(key);
  feed.get().stop();
  feed.set(new LiveFeed(key));
  return feed.get();
}
