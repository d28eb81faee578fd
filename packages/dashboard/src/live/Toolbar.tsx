import { useCallback } from 'react';
import { useShortcut } from '../app/shortcuts.ts';
import { ModelChoices } from '../chart/ModelChoices.tsx';
import { ranges } from '../data/range.ts';
import { Segmented } from '../ui/Segmented.tsx';
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
      <ModelChoices
        shown={options}
        slots={models.slots}
        hidden={models.hidden}
        chosen={model}
        onChoose={showModel}
      />
    </div>
  );
}
