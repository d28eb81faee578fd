import { useState } from 'react';
import { ButtonLink } from '../app/ButtonLink.tsx';
import { ServiceKeyDrawer } from '../app/ServiceKeyDrawer.tsx';
import { signIn, useFeed } from '../app/session.ts';
import type { Alert } from '../data/alerts.ts';
import { useCell } from '../data/cell.ts';
import { duration, timeOfDay } from '../data/format.ts';
import { acknowledge, LoadError } from '../data/queries.ts';
import { rangeReaching } from '../data/range.ts';
import { Button } from '../ui/Button.tsx';
import { Icon } from '../ui/Icon.tsx';
import { Name } from '../ui/Name.tsx';
import { Panel } from '../ui/Panel.tsx';
import { panelState } from '../ui/panelState.ts';
import { Sentence } from '../ui/Sentence.tsx';
import { useNow } from '../ui/useNow.ts';
import { showEvents, showModel, showRange } from './liveView.ts';

/** An alert's own events: a little before it, and since. */
const beforeMs = 60_000;

export function AlertPanel({ className }: { className?: string }) {
  const feed = useFeed();
  const { alerts = [], ...data } = useCell(feed.data);
  const connection = useCell(feed.connection);
  const failures = useCell(feed.failures);
  const now = useNow(feed);
  const [refused, setRefused] = useState<Alert>();
  const [problem, setProblem] = useState<string>();

  const acknowledgeOne = async (alert: Alert) => {
    try {
      setProblem(undefined);
      await acknowledge(feed.client, alert.id);
      feed.acknowledged(alert.id);
    } catch (error) {
      const denied = error instanceof LoadError && (error.status === 401 || error.status === 403);
      if (denied) setRefused(alert);
      else setProblem(`Could not acknowledge: ${error instanceof Error ? error.message : String(error)}`);
    }
  };

  const state = panelState({
    connection,
    loaded: feed.data.get().alerts !== undefined,
    failure: failures.alerts,
    empty: alerts.length === 0,
  });
  return (
    <Panel
      title="Open alerts"
      caption={alerts.length === 0 ? 'now' : `${alerts.length} now`}
      state={state}
      onRetry={feed.reload}
      empty={
        <span className="flex items-center gap-2">
          <Icon name="good" className="size-4 text-good" />
          {data.newestEventAt === null ? 'None: nothing has come in yet.' : 'None.'}
        </span>
      }
      {...(className !== undefined && { className })}
    >
      {problem !== undefined && (
        <p role="alert" className="px-4 pb-2 text-bad text-small">
          {problem}
        </p>
      )}
      {alerts.length === 0 && <p className="px-4 pb-4 text-muted text-small">None that is known of.</p>}
      <ul className="max-h-96 overflow-y-auto xl:max-h-80">
        {alerts.map((alert) => (
          <AlertLine key={alert.id} alert={alert} now={now} onAcknowledge={() => acknowledgeOne(alert)} />
        ))}
      </ul>
      {refused !== undefined && (
        <ServiceKeyDrawer
          what="Acknowledging"
          onClose={() => setRefused(undefined)}
          onKey={(key) => {
            const { client } = signIn(key);
            // Where this key may not either, the alert stays, and asking again says why.
            acknowledge(client, refused.id).catch(() => undefined);
          }}
        />
      )}
    </Panel>
  );
}

function AlertLine({ alert, now, onAcknowledge }: { alert: Alert; now: number; onAcknowledge: () => void }) {
  const { severity, type, message, model, at, acknowledged, firing, incidentId } = alert;
  const critical = severity === 'critical';
  return (
    <li
      data-alert={alert.id}
      className="grid grid-cols-[minmax(0,1fr)] gap-1.5 border-line border-t px-4 py-3"
    >
      <div className="flex flex-wrap items-center gap-x-2 text-small">
        <span
          className={`inline-flex items-center gap-1.5 font-semibold ${critical ? 'text-bad' : 'text-warning'}`}
        >
          <Icon name={critical ? 'bad' : 'warning'} className="size-4" />
          {critical ? 'Critical' : 'Warning'}
        </span>
        <span className="min-w-0 break-words font-medium">{inWords(type)}</span>
        {!firing && <span className="text-muted">over</span>}
        <span className="ml-auto whitespace-nowrap text-caption text-muted">
          since {timeOfDay(at, now)}, {duration(now - at)}
        </span>
      </div>
      {model !== undefined && !message.includes(model) && (
        <Name name={model} className="text-caption text-muted" />
      )}
      <p className="break-words text-small">
        <Sentence text={message} />
      </p>
      {/* One line: with several alerts each line counts. */}
      <div className="flex flex-wrap items-center gap-1.5">
        {incidentId !== null && <ButtonLink path={`/alerts/${incidentId}`}>Why</ButtonLink>}
        {model !== undefined && (
          <Button
            title={model}
            aria-label={`Show ${model}`}
            onClick={() => {
              showRange(rangeReaching(at, now).id);
              showModel(model);
            }}
          >
            Show
          </Button>
        )}
        <Button
          onClick={() =>
            showEvents({ since: at - beforeMs, until: now + beforeMs, model, onlyErrors: false })
          }
        >
          Events
        </Button>
        {acknowledged ? (
          <span className="text-caption text-muted">Acknowledged</span>
        ) : (
          <Button onClick={onAcknowledge}>Acknowledge</Button>
        )}
      </div>
    </li>
  );
}

/** high_latency → High latency */
function inWords(type: string): string {
  const words = type.replaceAll('_', ' ').trim();
  return words.charAt(0).toUpperCase() + words.slice(1);
}
