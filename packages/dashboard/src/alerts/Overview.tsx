import { useCallback, useState } from 'react';
import { Crash } from '../app/Crash.tsx';
import { askToNotify, notifyState } from '../app/notify.ts';
import { useFeed } from '../app/session.ts';
import { loadClosedIncidents, loadOpenIncidents } from '../data/alertQueries.ts';
import { useCell } from '../data/cell.ts';
import { type Connection, isCutOff } from '../data/connection.ts';
import { quantity } from '../data/format.ts';
import type { Incident } from '../data/incident.ts';
import type { LiveFeed } from '../data/liveFeed.ts';
import type { Level } from '../data/verdict.ts';
import { Button } from '../ui/Button.tsx';
import { Icon } from '../ui/Icon.tsx';
import { Panel } from '../ui/Panel.tsx';
import { useNow } from '../ui/useNow.ts';
import { VerdictCard } from '../ui/VerdictCard.tsx';
import { ChannelPanel } from './ChannelPanel.tsx';
import { IncidentList } from './IncidentList.tsx';
import { RulePanel } from './RulePanel.tsx';
import { SilencePanel } from './SilencePanel.tsx';
import { type AlertLoad, useAlertLoad } from './useAlertLoad.ts';
import { setWho, who } from './who.ts';

const closedStep = 10;

export function Overview() {
  const feed = useFeed();
  const now = useNow(feed, 10_000);
  const open = useAlertLoad(
    'system_alerts alert_silences',
    useCallback(({ client }: LiveFeed) => loadOpenIncidents(client), []),
  );
  const [shown, setShown] = useState(closedStep);
  const closed = useAlertLoad(
    'system_alerts',
    useCallback(({ client }: LiveFeed) => loadClosedIncidents(client, shown + 1), [shown]),
  );
  const connection = useCell(feed.connection);
  const { level, sentence } = judge(open, connection);
  const incidents = open.value ?? [];
  const over = closed.value ?? [];
  return (
    <>
      <VerdictCard label="Is anything wrong?" level={level} sentence={sentence} aside={<Person />}>
        {null}
      </VerdictCard>
      <Panel
        title="Open incidents"
        {...(open.value !== undefined && { caption: `${incidents.length} now` })}
        state={open.state}
        onRetry={open.reload}
        empty={
          <span className="flex items-center gap-2">
            <Icon name="good" className="size-4 text-good" />
            None.
          </span>
        }
      >
        <IncidentList incidents={incidents} now={now} />
      </Panel>
      <Crash>
        <div className="grid grid-cols-[minmax(0,1fr)] gap-3 xl:grid-cols-2">
          <SilencePanel />
          <ChannelPanel />
        </div>
        <RulePanel />
        <Panel
          title="History"
          caption="closed incidents, newest first"
          state={closed.state}
          onRetry={closed.reload}
          empty="Nothing has been closed yet."
        >
          <IncidentList incidents={over.slice(0, shown)} now={now} />
          {over.length > shown && (
            <div className="px-4 pb-3">
              <Button onClick={() => setShown(shown + closedStep)}>Show more</Button>
            </div>
          )}
        </Panel>
      </Crash>
    </>
  );
}

function judge(
  { value: open, state }: AlertLoad<readonly Incident[]>,
  connection: Connection,
): { readonly level: Level; readonly sentence: string } {
  if (isCutOff(connection))
    return { level: 'unknown', sentence: 'Cannot tell: the connection to Nowcast is lost.' };
  if (open === undefined) {
    const failed = state.kind === 'error';
    return {
      level: 'unknown',
      sentence: failed ? 'Cannot tell: the alerts could not be loaded.' : 'Looking …',
    };
  }
  if (open.length === 0) return { level: 'good', sentence: 'Nothing is open.' };
  const critical = open.filter(({ severity }) => severity === 'critical').length;
  const waiting = open.filter(({ acknowledged, silenced }) => !acknowledged && !silenced).length;
  const level = critical > 0 ? 'bad' : 'warning';
  if (open.length === 1) {
    const kind = critical === 1 ? '1 open incident, critical' : '1 open incident';
    return {
      level,
      sentence: `${kind}: ${waiting === 1 ? 'nobody has acknowledged it' : 'it is in hand'}.`,
    };
  }
  const parts = [
    critical === 0 ? '' : `${critical} critical`,
    waiting === 0 ? 'all in hand' : `${waiting} that nobody has acknowledged`,
  ].filter(Boolean);
  return { level, sentence: `${quantity(open.length, 'open incident')}: ${parts.join(', ')}.` };
}

function Person() {
  const name = useCell(who);
  const notifying = useCell(notifyState);
  return (
    <div className="grid gap-2">
      <label className="grid gap-1 text-caption text-muted">
        Your name, for the timeline
        <input
          value={name}
          maxLength={100}
          autoComplete="nickname"
          onChange={(event) => setWho(event.target.value)}
          className="min-h-8 rounded-md border border-line-strong bg-canvas px-2 text-small text-text"
        />
      </label>
      {notifying === 'ask' && <Button onClick={askToNotify}>Notify me in this browser</Button>}
      {notifying === 'on' && (
        <span className="text-caption text-muted">This browser notifies you of critical alerts.</span>
      )}
      {notifying === 'refused' && (
        <span className="text-caption text-muted">This browser was told not to notify.</span>
      )}
    </div>
  );
}
