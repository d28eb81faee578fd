import { ModelChoices } from '../chart/ModelChoices.tsx';
import { Button } from '../ui/Button.tsx';
import { Segmented } from '../ui/Segmented.tsx';
import { ExportButton } from './ExportButton.tsx';
import { type HistoryView, showDays, showLast, showModel, showUnit } from './historyView.ts';
import { dayMs, fullDayName, isoDay, type Last, moved, parseDay, presets, units } from './period.ts';
import type { HistoryData } from './useHistory.ts';

export interface HistoryToolbarProps {
  readonly view: HistoryView;
  readonly data: HistoryData;
  readonly today: number;
}

export function HistoryToolbar({ view, data, today }: HistoryToolbarProps) {
  const { stretch, model } = view;
  const { unit, last, from, until } = stretch;
  const earlier = moved(stretch, -1);
  const later = moved(stretch, 1);
  return (
    <div className="z-20 -mx-1 flex flex-wrap items-center gap-x-4 gap-y-2 bg-canvas/95 px-1 py-2 md:sticky md:top-12">
      <Segmented
        label="Stretch"
        // None of them where the days were chosen one by one.
        value={last ?? ('' as Last)}
        options={presets}
        onChange={showLast}
      />
      <Segmented label="By" value={unit} options={units} onChange={showUnit} />
      <div className="flex flex-wrap items-center gap-1.5 text-small">
        <Button
          aria-label={`Earlier: ${fullDayName(earlier.from)} to ${fullDayName(earlier.to)}`}
          onClick={() => showDays(earlier.from, earlier.to)}
        >
          ‹
        </Button>
        <DayInput
          label="From"
          day={from}
          max={until - dayMs}
          onDay={(day) => showDays(day, Math.max(day, until - dayMs))}
        />
        <span aria-hidden="true" className="text-muted">
          –
        </span>
        <DayInput
          label="To"
          day={until - dayMs}
          max={today}
          onDay={(day) => showDays(Math.min(from, day), day)}
        />
        <Button
          aria-label={`Later: ${fullDayName(later.from)} to ${fullDayName(later.to)}`}
          disabled={later.from > today}
          onClick={() => showDays(later.from, later.to)}
        >
          ›
        </Button>
      </div>
      <div className="sm:ml-auto">
        <ExportButton view={view} data={data} />
      </div>
      <div className="basis-full">
        <ModelChoices
          shown={data.shown}
          slots={data.slots}
          hidden={data.leaders.length - data.shown.length}
          chosen={model}
          onChoose={showModel}
        />
      </div>
    </div>
  );
}

interface DayInputProps {
  readonly label: string;
  readonly day: number;
  readonly max: number;
  readonly onDay: (day: number) => void;
}

function DayInput({ label, day, max, onDay }: DayInputProps) {
  return (
    <input
      type="date"
      aria-label={label}
      value={isoDay(day)}
      max={isoDay(max)}
      onChange={(event) => {
        const chosen = parseDay(event.target.value);
        if (chosen !== undefined) onDay(chosen);
      }}
      className="min-h-7 rounded-md border border-line-strong bg-canvas px-2 text-small"
    />
  );
}
