import { useEffect } from 'react';
import { useFeed } from '../app/session.ts';
import { useCell } from '../data/cell.ts';
import { isCutOff } from '../data/connection.ts';
import { duration, timeOfDay } from '../data/format.ts';
import { rangeReaching } from '../data/range.ts';
import { judge, type Level, type Reason } from '../data/verdict.ts';
import { Button } from '../ui/Button.tsx';
import { Icon } from '../ui/Icon.tsx';
import { useNow } from '../ui/useNow.ts';
import { DataAge } from './DataAge.tsx';
import { showEvents, showModel, showRange } from './liveView.ts';

const looks: Record<Level, { readonly badge: string; readonly panel: string; readonly word: string }> = {
  good: { badge: 'bg-good-soft text-good', panel: 'border-line', word: 'Working' },
  warning: { badge: 'bg-warning-soft text-warning', panel: 'border-warning/50', word: 'Attention' },
  bad: { badge: 'bg-bad-soft text-bad', panel: 'border-bad/60', word: 'Problem' },
  waiting: { badge: 'bg-unknown-soft text-unknown', panel: 'border-line', word: 'Waiting' },
  unknown: { badge: 'bg-unknown-soft text-unknown', panel: 'border-line', word: 'Unknown' },
};

/** The answer to "is it working?", with its reasons and the age of what it is based on. */
export function Verdict() {
  const feed = useFeed();
  const data = useCell(feed.data);
  const connection = useCell(feed.connection);
  const failures = useCell(feed.failures);
  // Cut off, the page judges by the last moment that it knew.
  const now = useNow(feed.clock, 1_000, isCutOff(connection));
  const verdict = judge({ now, connection, failures, ...data });
  const look = looks[verdict.level];
  useTitle(look.word, verdict.sentence);
  return (
    <section
      aria-label="Is it working?"
      data-level={verdict.level}
      className={`flex flex-wrap items-start gap-x-8 gap-y-4 rounded-panel border bg-surface p-4 sm:p-5 ${look.panel}`}
    >
      <div className="min-w-0 flex-1 basis-80">
        <div className="flex items-start gap-3">
          <span className={`mt-0.5 grid size-8 shrink-0 place-items-center rounded-full ${look.badge}`}>
            <Icon name={verdict.level} className="size-5" />
          </span>
          {/* The one thing on the page that is announced; what ticks stands outside of it. */}
          <div role="status" aria-live="polite">
            <h1 className="text-balance font-semibold text-verdict tracking-tight">{verdict.sentence}</h1>
          </div>
        </div>
        {verdict.reasons.length > 0 && (
          <ul className="mt-3 grid gap-2 sm:pl-11">
            {verdict.reasons.map((reason) => (
              <ReasonLine key={reason.id} reason={reason} now={now} />
            ))}
          </ul>
        )}
      </div>
      <DataAge newestEventAt={data.newestEventAt} connection={connection} />
    </section>
  );
}

function ReasonLine({ reason, now }: { reason: Reason; now: number }) {
  const { text, model, since, level } = reason;
  return (
    <li className="flex flex-wrap items-center gap-x-3 gap-y-1" data-reason={reason.id}>
      <span className="min-w-0 break-words">{text}</span>
      {level !== 'good' && since !== undefined && (
        <span className="whitespace-nowrap text-muted text-small">
          Since {timeOfDay(since, now)}, {duration(now - since)} ago
        </span>
      )}
      {model !== undefined && since !== undefined && (
        <span className="flex gap-1">
          <Button
            onClick={() => {
              showRange(rangeReaching(since, now).id);
              showModel(model);
            }}
          >
            Show {shorten(model)}
          </Button>
          {reason.id.startsWith('errors') && (
            <Button onClick={() => showEvents({ since, until: now + 60_000, model, onlyErrors: true })}>
              Its errors
            </Button>
          )}
        </span>
      )}
    </li>
  );
}

function shorten(name: string): string {
  return name.length > 32 ? `${name.slice(0, 31)}…` : name;
}

/** For the tab that is in the background. */
function useTitle(word: string, sentence: string): void {
  useEffect(() => {
    document.title = `${word}: ${sentence} Nowcast`;
  }, [word, sentence]);
}
