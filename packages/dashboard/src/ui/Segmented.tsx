import { Toggle } from '@base-ui/react/toggle';
import { ToggleGroup } from '@base-ui/react/toggle-group';

interface Option<V extends string> {
  readonly value: V;
  readonly label: string;
  /** Where the label is an abbreviation. */
  readonly name?: string;
}

export interface SegmentedProps<V extends string> {
  readonly label: string;
  readonly value: V;
  readonly options: readonly Option<V>[];
  readonly onChange: (value: V) => void;
}

/** One of a few, all in view. Arrow keys move between them. */
export function Segmented<V extends string>({ label, value, options, onChange }: SegmentedProps<V>) {
  return (
    <ToggleGroup
      aria-label={label}
      value={[value]}
      onValueChange={([next]) => {
        // Pressing the chosen one again chooses it again.
        if (next !== undefined) onChange(next as V);
      }}
      className="inline-flex rounded-md border border-line bg-raised p-0.5"
    >
      {options.map((option) => (
        <Toggle
          key={option.value}
          value={option.value}
          // The name begins with what is seen: speech input finds it by that.
          aria-label={option.name === undefined ? option.label : `${option.label}, ${option.name}`}
          className="min-h-6 rounded px-2 font-medium text-caption text-muted hover:text-text data-pressed:bg-surface data-pressed:text-text data-pressed:shadow-sm"
        >
          {option.label}
        </Toggle>
      ))}
    </ToggleGroup>
  );
}
