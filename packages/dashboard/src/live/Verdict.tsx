import { ButtonLink } from '../app/ButtonLink.tsx';
import { useFeed } from '../app/session.ts';
import { useCell } from '../data/cell.ts';
import { duration, quantity, timeOfDay } from '../data/format.ts';
import { rangeReaching } from '../data/range.ts';
import { judge, type Reason } from '../data/verdict.ts';
import { Button } from '../ui/Button.tsx';
import { Name } from '../ui/Name.tsx';
import { Sentence } from '../ui/Sentence.tsx';
import { useNow } from '../ui/useNow.ts';
import { VerdictCard } from '../ui/VerdictCard.tsx';
import { DataAge } from './DataAge.tsx';
import { showEvents, showModel, showRange } from './liveView.ts';
import { useIsBlind } from './useIsBlind.ts';

/** So many reasons stand under the sentence: with more the figures would begin below the fold. */
const mostReasons = 4;

/** The answer to "is it working?", with its reasons and the age of what it is based on. */
export function Verdict() {
  const feed = useFeed();
  const data = useCell(feed.data);
  const connection = useCell(feed.connection);
  const failures = useCell(feed.failures);
  const now = useNow(feed);
  const isBlind = useIsBlind();
  const verdict = judge({ now, connection, failures, isBlind, ...data });
  // One that is left out takes a line too.
  const told = verdict.reasons.length > mostReasons + 1 ? mostReasons : verdict.reasons.length;
  return (
    <VerdictCard
      label="Is it working?"
      level={verdict.level}
      sentence={verdict.sentence}
      aside={
        <DataAge
          newestEventAt={data.newestEventAt}
          connection={connection}
          failed={failures.metrics !== undefined}
          isBlind={isBlind}
        />
      }
    >
      {verdict.reasons.slice(0, told).map((reason) => (
        <ReasonLine key={reason.id} reason={reason} now={now} />
      ))}
      {told < verdict.reasons.length && (
        <li className="flex flex-wrap items-center gap-x-3 gap-y-1">
          And {verdict.reasons.length - told} more. <ButtonLink path="/alerts">All incidents</ButtonLink>
        </li>
      )}
    </VerdictCard>
  );
}

function ReasonLine({ reason, now }: { reason: Reason; now: number }) {
  const { text, model, since, until, level, incidentId, others } = reason;
  return (
    <li className="flex flex-wrap items-center gap-x-3 gap-y-1" data-reason={reason.id}>
      <span className="min-w-0 break-words">
        <Sentence text={text} />
      </span>
      {others !== undefined && (
        <span className="whitespace-nowrap text-muted text-small">and {quantity(others, 'other alert')}</span>
      )}
      {level !== 'good' && since !== undefined && (
        <span className="whitespace-nowrap text-muted text-small">
          {until === undefined
            ? // Silence is told with its length.
              `Since ${timeOfDay(since, now)}${reason.id === 'silent' ? '' : `, ${duration(now - since)} ago`}`
            : `From ${timeOfDay(since, now)} to ${timeOfDay(until, now)}, not since`}
        </span>
      )}
      <span className="flex flex-wrap gap-1.5">
        {reason.id === 'blind' && <ButtonLink path="/pipeline">Pipeline</ButtonLink>}
        {incidentId !== undefined && <ButtonLink path={`/alerts/${incidentId}`}>Why</ButtonLink>}
        {model !== undefined && since !== undefined && (
          <>
            <Button
              aria-label={`Show ${model}`}
              onClick={() => {
                showRange(rangeReaching(since, now).id);
                showModel(model);
              }}
            >
              Show
              {!text.includes(model) && <Name name={model} className="max-w-44" />}
            </Button>
            {reason.id.startsWith('errors') && (
              <Button onClick={() => showEvents({ since, until: now + 60_000, model, onlyErrors: true })}>
                Its errors
              </Button>
            )}
          </>
        )}
      </span>
    </li>
  );
}
