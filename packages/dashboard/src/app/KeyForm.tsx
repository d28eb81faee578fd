import { useState } from 'react';
import { Button } from '../ui/Button.tsx';

export interface KeyFormProps {
  readonly explanation: string;
  readonly onKey: (key: string) => void;
}

export function KeyForm({ explanation, onKey }: KeyFormProps) {
  const [key, setKey] = useState('');
  return (
    <form
      className="grid gap-3"
      onSubmit={(event) => {
        event.preventDefault();
        if (key.trim() !== '') onKey(key.trim());
      }}
    >
      <p className="text-muted">{explanation}</p>
      <label className="grid gap-1 font-medium text-small">
        Key
        <input
          type="password"
          autoComplete="off"
          spellCheck={false}
          required
          value={key}
          onChange={(event) => setKey(event.target.value)}
          className="min-h-9 rounded-md border border-line-strong bg-canvas px-3 font-mono"
        />
      </label>
      <p className="text-caption text-muted">It is kept in this browser only.</p>
      <Button kind="primary" type="submit" className="min-h-9 justify-self-start px-4">
        Open
      </Button>
    </form>
  );
}
