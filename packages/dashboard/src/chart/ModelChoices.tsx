import type { ReactNode } from 'react';
import { Name } from '../ui/Name.tsx';
import { Swatch } from './Swatch.tsx';

export interface ModelChoicesProps {
  /** Those that the charts show. */
  readonly shown: readonly string[];
  readonly slots: ReadonlyMap<string, number>;
  /** How many more there are. */
  readonly hidden: number;
  readonly chosen: string | undefined;
  readonly onChoose: (model: string | undefined) => void;
}

/** The legend of all charts, and the choice of one model. */
export function ModelChoices({ shown, slots, hidden, chosen, onChoose }: ModelChoicesProps) {
  if (shown.length <= 1 && chosen === undefined) return null;
  return (
    <ul aria-label="Model versions" className="flex min-w-0 flex-wrap gap-1">
      <Choice chosen={chosen === undefined} onChoose={() => onChoose(undefined)}>
        All model versions
      </Choice>
      {shown.map((name) => (
        <Choice
          key={name}
          chosen={name === chosen}
          onChoose={() => onChoose(name === chosen ? undefined : name)}
        >
          <Swatch slot={slots.get(name) ?? 0} />
          <Name name={name} className="max-w-48" />
        </Choice>
      ))}
      {hidden > 0 && (
        <li className="self-center px-2 text-caption text-muted">and {hidden} more in the table below</li>
      )}
    </ul>
  );
}

function Choice(props: { chosen: boolean; onChoose: () => void; children: ReactNode }) {
  const { chosen, onChoose, children } = props;
  return (
    <li>
      <button
        type="button"
        aria-pressed={chosen}
        onClick={onChoose}
        className="inline-flex min-h-7 items-center gap-2 rounded-md border border-transparent px-2.5 font-medium text-muted text-small hover:bg-raised hover:text-text aria-pressed:border-line aria-pressed:bg-surface aria-pressed:text-text"
      >
        {children}
      </button>
    </li>
  );
}
