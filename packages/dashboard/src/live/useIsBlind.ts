import { useEffect, useState } from 'react';
import { useFeed } from '../app/session.ts';
import { listen } from '../data/followTables.ts';
import { readHealth } from '../data/health.ts';

/** Whether the server pushed that its database does not answer: then no news is not good news. */
export function useIsBlind(): boolean {
  const feed = useFeed();
  const [isBlind, setIsBlind] = useState(false);
  useEffect(() => {
    const tell = (sees: boolean) => {
      feed.serverSees(sees);
      setIsBlind(!sees);
    };
    const leave = listen(feed, ['pipeline_status'], {
      onRow: ({ health }) => tell(readHealth(health).databaseConnected),
      // Whoever comes is told at once.
      onMaybeMissed: () => undefined,
    });
    return () => {
      leave();
      tell(true);
    };
  }, [feed]);
  return isBlind;
}
