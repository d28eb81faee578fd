import { useEffect } from 'react';
import { dollars, percent, quantity } from '../data/format.ts';
import type { Leader } from '../data/leader.ts';
import { isEmpty } from '../ui/panelState.ts';
import { tellChanges } from './changes.ts';
import type { HistoryView } from './historyView.ts';
import { dayMs, dayName, fullDayName, periodName } from './period.ts';
import type { HistoryData } from './useHistory.ts';

/** The stretch in one sentence, and what changed in its newest period. */
export function HistorySummary({ view, data }: { view: HistoryView; data: HistoryData }) {
  const { stretch } = view;
  const { leaders, newest, state } = data;
  const { from, until, unit } = stretch;
  const days = `${dayName(from)} to ${fullDayName(until - dayMs)}`;
  const changes = tellChanges(newest, unit);
  const sentence =
    leaders.length > 0
      ? sentenceOf(leaders)
      : isEmpty(state)
        ? `No closed day from ${days}.`
        : state.kind === 'error'
          ? `Cannot tell: ${days} could not be loaded.`
          : `Looking at ${days} …`;
  useEffect(() => {
    document.title = `History, ${days}. Nowcast`;
  }, [days]);
  return (
    <section
      aria-label="How did it develop?"
      data-panel="History"
      data-state={state.kind}
      className="rounded-panel border border-line bg-surface p-4 sm:p-5"
    >
      <div role="status" aria-live="polite">
        <h1 className="text-balance font-semibold text-verdict tracking-tight">{sentence}</h1>
      </div>
      <p className="mt-1 text-muted text-small">
        {days}, closed days in the server’s time zone. A day is closed at 02:00 of the next one.
      </p>
      {newest[0] !== undefined && (
        <ul className="mt-3 grid gap-1" aria-label={`Changes, ${periodName(unit, newest[0].start)}`}>
          {changes.map((text) => (
            <li key={text} className="min-w-0 break-words">
              {text}
            </li>
          ))}
          {changes.length === 0 && (
            <li className="text-muted">
              {unit === 'day'
                ? 'A single day says little about a change: look at weeks or months for that.'
                : `No clear change in the newest whole ${unit}, ${periodName(unit, newest[0].start)}: nothing differs by more than days differ anyway.`}
            </li>
          )}
        </ul>
      )}
    </section>
  );
}

function sentenceOf(leaders: readonly Leader[]): string {
  let [requests, errors, costUsd] = [0, 0, 0];
  for (const leader of leaders) {
    requests += leader.requests;
    errors += leader.errors;
    costUsd += leader.costUsd ?? 0;
  }
  const cost = leaders.some((leader) => leader.costUsd !== null) ? ` They cost ${dollars(costUsd)}.` : '';
  return `${quantity(requests, 'request')} to ${quantity(leaders.length, 'model version')}, ${percent((100 * errors) / requests)} with an error.${cost}`;
}
