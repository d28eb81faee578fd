import { useCallback, useEffect } from 'react';
import { PageLink } from '../app/PageLink.tsx';
import { useFeed } from '../app/session.ts';
import { loadIncident } from '../data/alertQueries.ts';
import { duration, timeOfDay } from '../data/format.ts';
import type { IncidentAlert } from '../data/incident.ts';
import type { LiveFeed } from '../data/liveFeed.ts';
import { defaultRange, rangeReaching } from '../data/range.ts';
import { Panel, StateNote } from '../ui/Panel.tsx';
import { isOld } from '../ui/panelState.ts';
import { Sentence } from '../ui/Sentence.tsx';
import { useNow } from '../ui/useNow.ts';
import { ExplanationPanel } from './ExplanationPanel.tsx';
import { IncidentActions } from './IncidentActions.tsx';
import { Marks } from './IncidentList.tsx';
import { SeverityBadge } from './SeverityBadge.tsx';
import { TimelinePanel } from './TimelinePanel.tsx';
import { useAlertLoad } from './useAlertLoad.ts';

/** An outage of everything has dozens. */
const mostModels = 10;

/** One incident: what changed, why, since when, who knows. */
export function IncidentPage({ id }: { id: number }) {
  const feed = useFeed();
  const now = useNow(feed, 10_000);
  const { value, state, reload } = useAlertLoad(
    'system_alerts alert_silences incident_timeline',
    useCallback(({ client }: LiveFeed) => loadIncident(client, id), [id]),
  );
  const title = value?.incident.title;
  useEffect(() => {
    if (title !== undefined) document.title = `${title} Nowcast`;
  }, [title]);
  const back = (
    <p className="text-small">
      <PageLink path="/alerts">All alerts</PageLink>
    </p>
  );
  if (value === null)
    return (
      <>
        {back}
        <Panel title="No such incident" state={{ kind: 'live' }}>
          <p className="px-4 pb-4">There is no incident {id} in this database.</p>
        </Panel>
      </>
    );
  if (value === undefined)
    return (
      <>
        {back}
        <Panel title="Incident" state={state} onRetry={reload} bodyClassName="min-h-40">
          {null}
        </Panel>
      </>
    );
  const { incident, alerts, timeline } = value;
  const { closedAt, openedAt, severity } = incident;
  const reaching = rangeReaching(openedAt, now);
  const range = reaching === defaultRange ? null : reaching.id;
  const explained = explainedOf(alerts, incident.title);
  return (
    <>
      {back}
      <section
        aria-label="Incident"
        data-panel="Incident"
        data-state={state.kind}
        className={`relative grid gap-3 rounded-panel border p-4 sm:p-5 ${isOld(state) ? 'border-dashed bg-canvas' : 'bg-surface'} ${closedAt !== null ? (isOld(state) ? 'border-line-strong' : 'border-line') : severity === 'critical' ? 'border-bad/60' : 'border-warning/50'}`}
      >
        <StateNote state={state} />
        <div className="flex flex-wrap items-center gap-x-3 gap-y-1">
          <SeverityBadge severity={severity} over={closedAt !== null} />
          <Marks incident={incident} />
          <span className="text-muted text-small" data-since>
            {closedAt === null
              ? `Since ${timeOfDay(openedAt, now)}, ${duration(now - openedAt)}`
              : `${timeOfDay(openedAt, now)} to ${timeOfDay(closedAt, now)}, ${duration(closedAt - openedAt)}`}
          </span>
        </div>
        <div role="status" aria-live="polite">
          <h1 className="min-w-0 text-balance break-words font-semibold text-figure tracking-tight">
            <Sentence text={incident.title} />
          </h1>
        </div>
        {incident.models.length > 0 && (
          <p className="flex min-w-0 flex-wrap gap-x-3 gap-y-1 text-small">
            <span className="text-muted">Model versions</span>
            {incident.models.slice(0, mostModels).map((model) => (
              <PageLink key={model} path="/" params={{ model, range }}>
                {model}
              </PageLink>
            ))}
            {incident.models.length > mostModels && (
              <span className="text-muted">and {incident.models.length - mostModels} more</span>
            )}
          </p>
        )}
        <IncidentActions incident={incident} />
      </section>
      <div className="grid grid-cols-[minmax(0,1fr)] items-start gap-3 xl:grid-cols-[minmax(0,1fr)_26rem]">
        {explained !== undefined && <ExplanationPanel alert={explained} now={now} state={state} />}
        <TimelinePanel timeline={timeline} now={now} state={state} />
        {alerts.length > 1 && (
          <Panel title="Alerts" caption={`${alerts.length} of this incident`} state={state}>
            <ul>
              {alerts.map((alert) => (
                <li key={alert.id} className="grid gap-1 border-line border-t px-4 py-2.5">
                  <div className="flex flex-wrap items-center gap-x-2">
                    <SeverityBadge severity={alert.severity} over={!alert.firing} />
                    <span className="text-caption text-muted">
                      since {timeOfDay(alert.at, now)}
                      {alert.resolvedAt !== null && `, over at ${timeOfDay(alert.resolvedAt, now)}`}
                    </span>
                  </div>
                  <p className="min-w-0 break-words text-small">
                    <Sentence text={alert.message} />
                  </p>
                </li>
              ))}
            </ul>
          </Panel>
        )}
      </div>
    </>
  );
}

/** The alert that says why: the one that the incident is named after, where it is explained; else a critical one. */
function explainedOf(alerts: readonly IncidentAlert[], title: string): IncidentAlert | undefined {
  const explained = alerts.filter(({ explanation }) => explanation != null);
  return (
    // A title is a phrase, a message the sentence of it.
    explained.find(({ message }) => title.startsWith(message.replace(/\.$/, ''))) ??
    explained.find(({ severity }) => severity === 'critical') ??
    explained[0] ??
    alerts[0]
  );
}
