import { useState } from 'react';
import { Button } from '../ui/Button.tsx';
import { Drawer } from '../ui/Drawer.tsx';
import { ChoiceField, TextField } from './fields.tsx';

const lengths = [
  ['15', '15 minutes'],
  ['60', '1 hour'],
  ['240', '4 hours'],
  ['1440', '1 day'],
  ['10080', '1 week'],
] as const;

export interface SilenceDrawerProps {
  readonly what: string;
  readonly onSilence: (minutes: number, reason: string) => void;
  readonly onClose: () => void;
}

export function SilenceDrawer({ what, onSilence, onClose }: SilenceDrawerProps) {
  const [minutes, setMinutes] = useState('60');
  const [reason, setReason] = useState('');
  return (
    <Drawer place="middle" onClose={onClose} title={`Silence ${what}`}>
      <form
        className="grid gap-3"
        onSubmit={(event) => {
          event.preventDefault();
          onSilence(Number(minutes), reason);
        }}
      >
        <p className="text-muted">
          Nobody is told of its alerts until the end. They are recorded all the same.
        </p>
        <ChoiceField label="For" value={minutes} options={lengths} onChange={setMinutes} />
        <TextField label="Reason" value={reason} onChange={setReason} hint="For whoever looks next." />
        <Button kind="primary" type="submit" className="min-h-9 justify-self-start px-4">
          Silence
        </Button>
      </form>
    </Drawer>
  );
}
