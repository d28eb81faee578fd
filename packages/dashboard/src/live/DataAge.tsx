import { useFeed } from '../app/session.ts';
import { type Connection, isCutOff } from '../data/connection.ts';
import { duration, timeWithSeconds } from '../data/format.ts';
import { useNow } from '../ui/useNow.ts';

export interface DataAgeProps {
  readonly newestEventAt: number | null | undefined;
  readonly connection: Connection;
  /** Whether the last attempt to load the figures failed. */
  readonly failed: boolean;
  readonly isBlind: boolean;
}

/** How old the newest event is, and up to when the page knows. */
export function DataAge({ newestEventAt, connection, failed, isBlind }: DataAgeProps) {
  const now = useNow(useFeed().clock);
  const { phase, currentUntil } = connection;
  const cut = phase !== 'live' && currentUntil !== undefined;
  const known = cut || isBlind;
  return (
    <dl className="shrink-0 sm:text-right">
      <dt className="text-caption text-muted">{known ? 'Newest event known of' : 'Newest event'}</dt>
      <dd className="figure font-semibold text-figure" data-age>
        {typeof newestEventAt === 'number'
          ? `${duration(now - newestEventAt)} ago`
          : newestEventAt === null
            ? 'none yet'
            : '–'}
      </dd>
      <dt className="sr-only">Freshness of this page</dt>
      <dd className="text-caption text-muted" data-freshness>
        {phase === 'live'
          ? isBlind
            ? 'Nothing new is known since.'
            : 'This page is up to date.'
          : cut
            ? `This page shows what was known at ${timeWithSeconds(currentUntil)}.`
            : failed || isCutOff(connection)
              ? 'Nothing could be loaded yet.'
              : 'This page is loading.'}
      </dd>
    </dl>
  );
}
