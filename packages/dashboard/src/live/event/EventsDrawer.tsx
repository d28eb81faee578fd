import { useEffect, useState } from 'react';
import { useFeed } from '../../app/session.ts';
import type { InferenceEvent } from '../../data/event.ts';
import { timeOfDay } from '../../data/format.ts';
import { LoadError, loadEvents } from '../../data/queries.ts';
import { Button } from '../../ui/Button.tsx';
import { Drawer } from '../../ui/Drawer.tsx';
import { type EventsWindow, hideEvents, showEvents } from '../liveView.ts';
import { EventFacts } from './EventFacts.tsx';
import { EventLine } from './EventLine.tsx';

const listed = 100;

type Answer = {
  readonly of: EventsWindow;
  readonly events?: readonly InferenceEvent[];
  readonly failure?: string;
};

/** The events behind a point of a chart, or behind an alert. */
export function EventsDrawer({ window }: { window: EventsWindow }) {
  const feed = useFeed();
  const [answer, setAnswer] = useState<Answer>();
  const [attempt, setAttempt] = useState(0);
  const { since, until, model, onlyErrors } = window;
  // biome-ignore lint/correctness/useExhaustiveDependencies: an attempt more is a question more
  useEffect(() => {
    let wanted = true;
    const of = { since, until, model, onlyErrors };
    setAnswer(undefined);
    loadEvents(feed.client, { ...of, limit: listed }).then(
      (events) => wanted && setAnswer({ of, events }),
      (error: unknown) =>
        wanted && setAnswer({ of, failure: error instanceof LoadError ? error.message : String(error) }),
    );
    return () => {
      wanted = false;
    };
  }, [feed, since, until, model, onlyErrors, attempt]);

  const { events, failure } = answer ?? {};
  return (
    <Drawer
      onClose={hideEvents}
      title={`${onlyErrors ? 'Errors' : 'Events'}${model === undefined ? '' : ` of ${model}`}`}
      description={`${timeOfDay(since)} to ${timeOfDay(until, since)}, newest first`}
    >
      <div className="mb-3 flex items-center gap-3">
        <Button aria-pressed={onlyErrors} onClick={() => showEvents({ ...window, onlyErrors: !onlyErrors })}>
          {onlyErrors ? 'Show all events' : 'Show errors only'}
        </Button>
        <p role="status" className="text-muted text-small">
          {failure !== undefined
            ? ''
            : events === undefined
              ? 'Loading …'
              : events.length === listed
                ? `The newest ${listed} of them`
                : `${events.length} found`}
        </p>
      </div>
      {failure !== undefined && (
        <p className="flex flex-wrap items-center gap-3 text-bad text-small">
          Could not load: {failure}
          <Button onClick={() => setAttempt(attempt + 1)}>Try again</Button>
        </p>
      )}
      {events?.length === 0 && <p className="text-muted">No event of this kind in this window is stored.</p>}
      <ul className="-mx-4">
        {events?.map((event) => (
          <li key={event.id} className="border-line border-t">
            <details>
              <summary className="flex cursor-pointer items-center gap-3 px-4 py-1.5 text-small hover:bg-raised focus-visible:outline-offset-[-2px]">
                <EventLine event={event} />
              </summary>
              <div className="bg-raised px-4 py-3">
                <EventFacts event={event} />
              </div>
            </details>
          </li>
        ))}
      </ul>
    </Drawer>
  );
}
