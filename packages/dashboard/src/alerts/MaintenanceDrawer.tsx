import { useState } from 'react';
import type { NewMaintenance } from '../data/alertQueries.ts';
import { Button } from '../ui/Button.tsx';
import { Drawer } from '../ui/Drawer.tsx';
import { ChoiceField, TextField } from './fields.tsx';

const hourMs = 3_600_000;

type Scope = 'everything' | 'model_version' | 'rule';

export interface MaintenanceDrawerProps {
  readonly now: number;
  /** What the server had against it. */
  readonly problem: string | undefined;
  readonly onPlan: (window: Omit<NewMaintenance, 'by'>) => void;
  readonly onClose: () => void;
}

export function MaintenanceDrawer({ now, problem, onPlan, onClose }: MaintenanceDrawerProps) {
  const [starts, setStarts] = useState(() => localTime(now));
  const [ends, setEnds] = useState(() => localTime(now + hourMs));
  const [scope, setScope] = useState<Scope>('everything');
  const [value, setValue] = useState('');
  const [reason, setReason] = useState('');
  return (
    <Drawer place="middle" onClose={onClose} title="Plan maintenance">
      <form
        className="grid gap-3"
        onSubmit={(event) => {
          event.preventDefault();
          onPlan({
            startsAt: Date.parse(starts),
            endsAt: Date.parse(ends),
            matchers: scope === 'everything' ? {} : { [scope]: value },
            reason,
          });
        }}
      >
        {problem !== undefined && (
          <p role="alert" className="text-bad text-small">
            {problem}
          </p>
        )}
        <div className="grid gap-3 sm:grid-cols-2">
          <TextField label="From" type="datetime-local" value={starts} onChange={setStarts} isRequired />
          <TextField label="Until" type="datetime-local" value={ends} onChange={setEnds} isRequired />
        </div>
        <ChoiceField
          label="Of"
          value={scope}
          options={[
            ['everything', 'Everything'],
            ['model_version', 'One model version'],
            ['rule', 'One rule'],
          ]}
          onChange={(chosen) => setScope(chosen as Scope)}
        />
        {scope !== 'everything' && (
          <TextField
            label={scope === 'rule' ? 'Rule' : 'Model version'}
            value={value}
            onChange={setValue}
            isRequired
          />
        )}
        <TextField label="Reason" value={reason} onChange={setReason} hint="A deployment, a migration." />
        <Button kind="primary" type="submit" className="min-h-9 justify-self-start px-4">
          Plan
        </Button>
      </form>
    </Drawer>
  );
}

/** As <input type="datetime-local"> takes it. */
function localTime(at: number): string {
  const local = new Date(at - new Date(at).getTimezoneOffset() * 60_000);
  return local.toISOString().slice(0, 16);
}
