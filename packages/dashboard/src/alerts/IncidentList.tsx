import { PageLink } from '../app/PageLink.tsx';
import { duration, inFew, quantity, timeOfDay } from '../data/format.ts';
import type { Incident } from '../data/incident.ts';
import { Sentence } from '../ui/Sentence.tsx';
import { IncidentActions } from './IncidentActions.tsx';
import { SeverityBadge } from './SeverityBadge.tsx';

export function IncidentList({ incidents, now }: { incidents: readonly Incident[]; now: number }) {
  return (
    <ul>
      {incidents.map((incident) => (
        <IncidentLine key={incident.id} incident={incident} now={now} />
      ))}
    </ul>
  );
}

function IncidentLine({ incident, now }: { incident: Incident; now: number }) {
  const { id, title, openedAt, closedAt, severity, models, alerts } = incident;
  return (
    <li
      data-incident={id}
      className="grid gap-1.5 border-line border-t px-4 py-3 md:grid-cols-[minmax(0,1fr)_auto] md:items-center md:gap-x-6"
    >
      <div className="grid min-w-0 gap-1">
        <div className="flex flex-wrap items-center gap-x-2 gap-y-1 text-small">
          <SeverityBadge severity={severity} over={closedAt !== null} />
          <Marks incident={incident} />
          <span className="text-caption text-muted">
            {closedAt === null
              ? `since ${timeOfDay(openedAt, now)}, ${duration(now - openedAt)}`
              : `${timeOfDay(openedAt, now)}, lasted ${duration(closedAt - openedAt)}`}
          </span>
        </div>
        <PageLink path={`/alerts/${id}`} className="min-w-0 break-words font-medium hover:underline">
          <Sentence text={title} />
        </PageLink>
        <p className="min-w-0 break-words text-caption text-muted">
          {[inFew(models), alerts > 1 ? quantity(alerts, 'alert') : ''].filter(Boolean).join(' · ')}
        </p>
      </div>
      <IncidentActions incident={incident} />
    </li>
  );
}

export function Marks({ incident }: { incident: Incident }) {
  const { acknowledged, acknowledgedBy, silenced } = incident;
  return (
    <>
      {acknowledged && (
        <span className="rounded-full bg-good-soft px-2 text-caption text-good">
          Acknowledged{acknowledgedBy === undefined ? '' : ` by ${acknowledgedBy}`}
        </span>
      )}
      {silenced && (
        <span className="rounded-full bg-unknown-soft px-2 text-caption text-unknown">Silenced</span>
      )}
    </>
  );
}
