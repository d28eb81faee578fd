import { Suspense } from 'react';
import { readKey } from '../data/access.ts';
import { useCell } from '../data/cell.ts';
import { Panel } from '../ui/Panel.tsx';
import { KeyForm } from './KeyForm.tsx';
import { hrefOf, usePlace } from './router.ts';
import { Shell } from './Shell.tsx';
import { signIn, useFeed } from './session.ts';
import { viewAt } from './views.ts';

export function App() {
  const feed = useFeed();
  const { path } = usePlace();
  const { phase } = useCell(feed.connection);
  const view = viewAt(path);
  return (
    <Shell>
      {phase === 'denied' ? (
        <AskForKey />
      ) : view === undefined ? (
        <NotFound path={path} />
      ) : (
        // Another key is another start: nothing of the old session stays.
        <Suspense fallback={null}>
          <view.Page key={feed.id} />
        </Suspense>
      )}
    </Shell>
  );
}

function AskForKey() {
  const first = readKey() === 'local';
  return (
    <Panel title="This server wants a key" state={{ kind: 'live' }} className="mx-auto mt-16 w-full max-w-md">
      <div className="px-4 pb-4">
        <KeyForm
          explanation={
            first
              ? 'Whoever runs this server can give you one that may read.'
              : 'The key that this browser kept is not accepted any more.'
          }
          onKey={signIn}
        />
      </div>
    </Panel>
  );
}

function NotFound({ path }: { path: string }) {
  return (
    <Panel title="Nothing here" state={{ kind: 'live' }} className="mx-auto mt-16 w-full max-w-md">
      <p className="break-words px-4 pb-4">
        There is no view at {path}.{' '}
        <a className="text-accent underline" href={hrefOf({ path: '/' })}>
          Go to Live
        </a>
      </p>
    </Panel>
  );
}
