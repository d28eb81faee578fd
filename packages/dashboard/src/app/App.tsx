import { useEffect, useState } from 'react';
import { keepKey, readKey } from '../data/access.ts';
import { LiveFeed } from '../data/liveFeed.ts';
import { LivePage } from '../live/LivePage.tsx';
import { useCell } from '../data/cell.ts';

export function App() {
  const [key, setKey] = useState(readKey);
  const [feed, setFeed] = useState<LiveFeed>();
  useEffect(() => {
    const started = new LiveFeed(key);
    setFeed(started);
    return () => started.stop();
  }, [key]);
  if (feed === undefined) return null;
  return <Page feed={feed} onKey={(next) => { keepKey(next); setKey(next); }} />;
}

function Page({ feed, onKey }: { feed: LiveFeed; onKey: (key: string) => void }) {
  const { phase } = useCell(feed.connection);
  if (phase !== 'denied') return <LivePage feed={feed} />;
  return (
    <form
      className="p-8"
      onSubmit={(event) => {
        event.preventDefault();
        onKey(String(new FormData(event.currentTarget).get('key')));
      }}
    >
      <label>
        This server wants a key: <input name="key" type="password" className="border" required />
      </label>
      <button type="submit">Open</button>
    </form>
  );
}
