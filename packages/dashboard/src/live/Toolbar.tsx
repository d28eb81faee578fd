import { useCallback } from 'react';
import { useShortcut } from '../app/shortcuts.ts';
import { ranges } from '../data/range.ts';
import { Segmented } from '../ui/Segmented.tsx';
import { Swatch } from './chart/Swatch.tsx';
import { showModel, showRange } from './liveView.ts';
import type { ShownModels } from './shownModels.ts';

export interface ToolbarProps {
  readonly rangeId: (typeof ranges)[number]['id'];
  readonly models: ShownModels;
  readonly model: string | undefined;
}

/** What is looked at: how far back, and which model version. */
export function Toolbar({ rangeId, models, model }: ToolbarProps) {
  const options = models.shown;
  useShortcut(
    'range1',
    useCallback(() => showRange('1h'), []),
  );
  useShortcut(
    'range2',
    useCallback(() => showRange('6h'), []),
  );
  useShortcut(
    'range3',
    useCallback(() => showRange('24h'), []),
  );
  useShortcut(
    'range4',
    useCallback(() => showRange('7d'), []),
  );
  useShortcut(
    'allModels',
    useCallback(() => showModel(undefined), []),
  );
  useShortcut(
    'nextModel',
    useCallback(
      () => showModel(options[model === undefined ? 0 : options.indexOf(model) + 1]),
      [options, model],
    ),
  );
  return (
    <div className="z-20 -mx-1 flex flex-wrap items-center gap-x-4 gap-y-2 bg-canvas/95 px-1 py-2 md:sticky md:top-12">
      <Segmented
        label="Range"
        value={rangeId}
        onChange={showRange}
        options={ranges.map(({ id, short, window }) => ({ value: id, label: short, name: window }))}
      />
      {options.length > 1 || model !== undefined ? (
        <ul aria-label="Model versions" className="flex min-w-0 flex-wrap gap-1">
          <Choice chosen={model === undefined} onChoose={() => showModel(undefined)}>
            All model versions
          </Choice>
          {options.map((name) => (
            <Choice
              key={name}
              chosen={name === model}
              onChoose={() => showModel(name === model ? undefined : name)}
            >
              <Swatch slot={models.slots.get(name) ?? 0} />
              <span className="max-w-48 truncate">{name}</span>
            </Choice>
          ))}
          {models.hidden > 0 && (
            <li className="self-center px-2 text-caption text-muted">
              and {models.hidden} more in the table below
            </li>
          )}
        </ul>
      ) : null}
    </div>
  );
}

function Choice(props: { chosen: boolean; onChoose: () => void; children: React.ReactNode }) {
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
