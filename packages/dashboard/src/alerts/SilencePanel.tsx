import { useCallback, useState } from 'react';
import { useFeed } from '../app/session.ts';
import { endSilence, loadSilences, planMaintenance, silence } from '../data/alertQueries.ts';
import { timeOfDay } from '../data/format.ts';
import type { Silence } from '../data/incident.ts';
import type { LiveFeed } from '../data/liveFeed.ts';
import { Button } from '../ui/Button.tsx';
import { Panel } from '../ui/Panel.tsx';
import { emptied } from '../ui/panelState.ts';
import { useNow } from '../ui/useNow.ts';
import { MaintenanceDrawer } from './MaintenanceDrawer.tsx';
import { matchersInWords } from './matchers.ts';
import { useAlertLoad } from './useAlertLoad.ts';
import { useChange } from './useChange.tsx';
import { signature } from './who.ts';

const minuteMs = 60_000;

/** What nobody is told of, now or later. */
export function SilencePanel() {
  const feed = useFeed();
  const now = useNow(feed, 10_000);
  const { value, state, reload } = useAlertLoad(
    'alert_silences',
    useCallback(({ client, clock }: LiveFeed) => loadSilences(client, clock.now()), []),
  );
  const ending = useChange('Ending a silence');
  const planning = useChange('Planning maintenance');
  const [planned, setPlanned] = useState(false);
  const [problem, setProblem] = useState<string>();
  // They end by the clock, which nobody pushes.
  const silences = (value ?? []).filter(({ endsAt }) => endsAt > now);
  return (
    <>
      <Panel
        title="Silences and maintenance"
        {...(value !== undefined && { caption: `${silences.length} now or to come` })}
        state={silences.length === 0 ? emptied(state) : state}
        onRetry={reload}
        empty="None: everybody is told of everything."
        actions={<Button onClick={() => setPlanned(true)}>Plan maintenance</Button>}
      >
        <ul>
          {silences.map((silence) => (
            <SilenceLine
              key={silence.id}
              silence={silence}
              now={now}
              isBusy={ending.busy}
              onEnd={() =>
                ending.run(async (client) => {
                  await endSilence(client, silence.id);
                  return { text: 'The silence has ended.', undo: again(silence) };
                })
              }
            />
          ))}
        </ul>
      </Panel>
      {planned && (
        <MaintenanceDrawer
          now={now}
          problem={problem}
          onClose={() => {
            setPlanned(false);
            setProblem(undefined);
          }}
          onPlan={async (window) => {
            const done = await planning.run(async (client) => {
              await planMaintenance(client, { ...window, by: signature() });
              return { text: 'Maintenance is planned: nobody is told of what it matches.' };
            }, setProblem);
            if (done) {
              setPlanned(false);
              setProblem(undefined);
            }
          }}
        />
      )}
      {ending.dialog}
      {planning.dialog}
    </>
  );
}

/** The same silence once more, for what is left of it. */
function again({ matchers, endsAt, reason }: Silence): Parameters<ReturnType<typeof useChange>['run']>[0] {
  return async (client) => {
    const minutes = Math.max(1, Math.round((endsAt - Date.now()) / minuteMs));
    await silence(client, { matchers, minutes, reason, by: signature() });
    return undefined;
  };
}

interface SilenceLineProps {
  readonly silence: Silence;
  readonly now: number;
  readonly isBusy: boolean;
  readonly onEnd: () => void;
}

function SilenceLine({ silence, now, isBusy, onEnd }: SilenceLineProps) {
  const { id, matchers, reason, by, isMaintenance, startsAt, endsAt } = silence;
  const notes = [reason === '' ? '' : `“${reason}”`, by].filter(Boolean);
  return (
    <li
      data-silence={id}
      className="flex flex-wrap items-center gap-x-3 gap-y-1 border-line border-t px-4 py-2.5"
    >
      <div className="min-w-0 flex-1 basis-48">
        <p className="min-w-0 break-words font-medium text-small">
          {isMaintenance ? 'Maintenance: ' : ''}
          {matchersInWords(matchers)}
        </p>
        <p className="min-w-0 break-words text-caption text-muted">
          {startsAt > now ? `from ${timeOfDay(startsAt, now)} ` : ''}until {timeOfDay(endsAt, now)}
          {notes.length > 0 && `, ${notes.join(', ')}`}
        </p>
      </div>
      <Button
        disabled={isBusy}
        onClick={onEnd}
        aria-label={`End the silence of ${matchersInWords(matchers)}`}
      >
        End
      </Button>
    </li>
  );
}
