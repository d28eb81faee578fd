import { useCell } from '../data/cell.ts';
import type { Phase } from '../data/connection.ts';
import { useFeed } from './session.ts';

const words: Record<Phase, { readonly text: string; readonly colour: string }> = {
  connecting: { text: 'Connecting', colour: 'text-unknown' },
  catchingUp: { text: 'Catching up', colour: 'text-unknown' },
  live: { text: 'Live', colour: 'text-good' },
  doubtful: { text: 'Checking', colour: 'text-unknown' },
  reconnecting: { text: 'Reconnecting', colour: 'text-warning' },
  offline: { text: 'Offline', colour: 'text-warning' },
  denied: { text: 'Key needed', colour: 'text-warning' },
};

/** What is known about the connection, in a word. */
export function ConnectionBadge() {
  const { phase } = useCell(useFeed().connection);
  const { text, colour } = words[phase];
  return (
    <span
      data-connection={phase}
      className="inline-flex items-center gap-1.5 px-1 text-small sm:gap-2 sm:px-2"
    >
      <span aria-hidden="true" className={`size-2 rounded-full bg-current ${colour}`} />
      {text}
    </span>
  );
}
