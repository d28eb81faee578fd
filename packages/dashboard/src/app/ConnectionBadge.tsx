import { useCell } from '../data/cell.ts';
import type { Phase } from '../data/connection.ts';
import { useFeed } from './session.ts';

const unsure = { colour: 'text-unknown', ground: 'bg-unknown-soft' } as const;
const bad = { colour: 'text-warning', ground: 'bg-warning-soft' } as const;

const words: Record<
  Phase,
  { readonly text: string; readonly colour: string; readonly ground: string | undefined }
> = {
  connecting: { text: 'Connecting', ...unsure },
  catchingUp: { text: 'Catching up', ...unsure },
  live: { text: 'Live', colour: 'text-good', ground: undefined },
  doubtful: { text: 'Checking', ...unsure },
  reconnecting: { text: 'Reconnecting', ...bad },
  offline: { text: 'Offline', ...bad },
  denied: { text: 'Key needed', ...bad },
};

/** What is known about the connection, in a word. */
export function ConnectionBadge() {
  const { phase } = useCell(useFeed().connection);
  const { text, colour, ground } = words[phase];
  return (
    <>
      <span
        data-connection={phase}
        className="inline-flex items-center gap-1.5 px-1 text-small sm:gap-2 sm:px-2"
      >
        <span aria-hidden="true" className={`size-2 rounded-full bg-current ${colour}`} />
        <span className={ground === undefined ? '' : 'max-sm:sr-only'}>{text}</span>
      </span>
      {/* Beside the views a phone has no room for more than a short word. It lies in the space above the page, so that
          nothing moves, and comes a moment later: most of the time it would be gone before it was read. */}
      {ground !== undefined && (
        <span
          aria-hidden="true"
          className={`absolute inset-x-0 top-full flex h-5 animate-late items-center px-4 text-caption sm:hidden ${ground} ${colour}`}
        >
          {text}
        </span>
      )}
    </>
  );
}
