import { useState } from 'react';
import { acknowledgeIncident, endSilence, silence, takeBackAcknowledgement } from '../data/alertQueries.ts';
import { inFew } from '../data/format.ts';
import type { Incident } from '../data/incident.ts';
import { Button } from '../ui/Button.tsx';
import { matchersInWords, matchersOf } from './matchers.ts';
import { SilenceDrawer } from './SilenceDrawer.tsx';
import { useChange } from './useChange.tsx';
import { signature } from './who.ts';

/** One click long: what people need at night. */
const quickMinutes = 60;

export function IncidentActions({ incident }: { incident: Incident }) {
  const acknowledging = useChange('Acknowledging');
  const silencing = useChange('Silencing');
  const [choosing, setChoosing] = useState(false);
  if (incident.closedAt !== null) return null;
  const all = matchersOf(incident);
  const silenceAll = (minutes: number, reason: string) =>
    silencing.run(async (client) => {
      const ids: number[] = [];
      for (const matchers of all)
        ids.push(await silence(client, { matchers, minutes, reason, by: signature() }));
      return {
        text: `${all.map(matchersInWords).join(', ')} silenced for ${minutes >= 120 ? `${minutes / 60} hours` : `${minutes} minutes`}. Alerts are recorded all the same.`,
        undo: async (client) => {
          for (const id of ids) await endSilence(client, id);
        },
      };
    });
  return (
    <span className="inline-flex flex-wrap items-center gap-1.5">
      {!incident.acknowledged && (
        <Button
          disabled={acknowledging.busy}
          onClick={() =>
            acknowledging.run(async (client) => {
              await acknowledgeIncident(client, incident.id, signature());
              return {
                text: 'Acknowledged: it is not repeated any more.',
                undo: (client) => takeBackAcknowledgement(client, incident.id),
              };
            })
          }
        >
          Acknowledge
        </Button>
      )}
      {!incident.silenced && (
        <>
          <Button disabled={silencing.busy} onClick={() => silenceAll(quickMinutes, '')}>
            Silence 1 h
          </Button>
          <Button kind="quiet" onClick={() => setChoosing(true)}>
            Silence …
          </Button>
        </>
      )}
      {choosing && (
        <SilenceDrawer
          what={inFew(all.map(matchersInWords))}
          onClose={() => setChoosing(false)}
          onSilence={async (minutes, reason) => {
            setChoosing(false);
            await silenceAll(minutes, reason);
          }}
        />
      )}
      {acknowledging.dialog}
      {silencing.dialog}
    </span>
  );
}
