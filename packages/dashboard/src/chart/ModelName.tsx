import { Name } from '../ui/Name.tsx';
import { Swatch } from './Swatch.tsx';

export interface ModelNameProps {
  readonly model: string;
  /** Undefined where it is beyond those that charts can tell apart. */
  readonly slot: number | undefined;
  /** The one that is looked at alone. */
  readonly chosen: string | undefined;
  readonly onChoose: (model: string | undefined) => void;
}

/** A model version that can be looked at alone. */
export function ModelName({ model, slot, chosen, onChoose }: ModelNameProps) {
  return (
    <button
      type="button"
      aria-pressed={model === chosen}
      className="flex max-w-full items-center gap-2 underline-offset-2 hover:underline aria-pressed:text-accent"
      onClick={() => onChoose(model === chosen ? undefined : model)}
    >
      {slot === undefined ? <span aria-hidden="true" className="w-4.5 shrink-0" /> : <Swatch slot={slot} />}
      <Name name={model} />
    </button>
  );
}
