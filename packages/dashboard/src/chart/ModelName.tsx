import { Swatch } from '../chart/Swatch.tsx';
import { type HistoryView, showModel } from './historyView.ts';
import type { HistoryData } from './useHistory.ts';

/** A model version that can be looked at alone. */
export function ModelName({ model, view, data }: { model: string; view: HistoryView; data: HistoryData }) {
  const slot = data.slots.get(model);
  return (
    <button
      type="button"
      aria-pressed={model === view.model}
      className="flex max-w-full items-center gap-2 underline-offset-2 hover:underline aria-pressed:text-accent"
      onClick={() => showModel(model === view.model ? undefined : model)}
    >
      {slot === undefined ? <span aria-hidden="true" className="w-4.5 shrink-0" /> : <Swatch slot={slot} />}
      <span className="truncate">{model}</span>
    </button>
  );
}
