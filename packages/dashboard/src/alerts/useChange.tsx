import { type ReactNode, useState } from 'react';
import { ServiceKeyDrawer } from '../app/ServiceKeyDrawer.tsx';
import { signIn, useFeed } from '../app/session.ts';
import { LoadError } from '../data/queries.ts';
import { type ChangeOf, changesUnderWay, type Notice, notice } from './notice.ts';

export interface Change {
  /** @returns whether it was done */
  readonly run: (
    change: ChangeOf<Notice | undefined>,
    onProblem?: (problem: string) => void,
  ) => Promise<boolean>;
  readonly busy: boolean;
  /** To be rendered: the question for a key, when there is one. */
  readonly dialog: ReactNode;
}

/** Changes something on the server, says so, and asks for a service key where the one of this browser may only read. */
export function useChange(what: string): Change {
  const feed = useFeed();
  const [busy, setBusy] = useState(false);
  const [refused, setRefused] = useState<ChangeOf<Notice | undefined>>();
  return {
    busy,
    async run(change, onProblem) {
      setBusy(true);
      changesUnderWay.set(changesUnderWay.get() + 1);
      try {
        notice.set(await change(feed.client));
        return true;
      } catch (error) {
        const problem = error instanceof Error ? error.message : String(error);
        if (isDenied(error)) setRefused(() => change);
        else if (onProblem !== undefined) onProblem(problem);
        else notice.set({ text: `${what} did not work: ${problem}`, failed: true });
        return false;
      } finally {
        changesUnderWay.set(changesUnderWay.get() - 1);
        setBusy(false);
      }
    },
    dialog: refused !== undefined && (
      <ServiceKeyDrawer
        what={what}
        onClose={() => setRefused(undefined)}
        onKey={(key) => {
          // The view starts anew with the key, so what follows is told by the notice.
          const { client } = signIn(key);
          changesUnderWay.set(changesUnderWay.get() + 1);
          refused(client)
            .then(
              (done) => notice.set(done),
              (error: unknown) =>
                notice.set({
                  text: `${what} did not work: ${error instanceof Error ? error.message : String(error)}`,
                  failed: true,
                }),
            )
            .finally(() => changesUnderWay.set(changesUnderWay.get() - 1));
        }}
      />
    ),
  };
}

export function isDenied(error: unknown): boolean {
  return error instanceof LoadError && (error.status === 401 || error.status === 403);
}
