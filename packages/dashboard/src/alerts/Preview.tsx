import { useState } from 'react';
import { ServiceKeyDrawer } from '../app/ServiceKeyDrawer.tsx';
import { signIn, useFeed } from '../app/session.ts';
import { type BacktestResult, backtestRule } from '../data/alertQueries.ts';
import type { AlertRule } from '../data/alertRule.ts';
import { duration, quantity, timeOfDay } from '../data/format.ts';
import { Button } from '../ui/Button.tsx';
import { Segmented } from '../ui/Segmented.tsx';
import { isDenied } from './useChange.tsx';

const dayMs = 86_400_000;
const shownAlerts = 50;
const windows = [
  { value: '1', label: '1 d', name: 'last day' },
  { value: '7', label: '7 d', name: 'last 7 days' },
  { value: '30', label: '30 d', name: 'last 30 days' },
] as const;

export interface PreviewProps {
  /** The rule as it stands in the form, or undefined where something is wrong with it. */
  readonly current: () => AlertRule | undefined;
  readonly onProblem: (problem: string) => void;
}

/** What the rule would have done, judged over stored history by the very code that judges live. */
export function Preview({ current, onProblem }: PreviewProps) {
  const { clock } = useFeed();
  const [days, setDays] = useState<(typeof windows)[number]['value']>('7');
  const [busy, setBusy] = useState(false);
  const [result, setResult] = useState<BacktestResult>();
  const [denied, setDenied] = useState(false);
  const run = async () => {
    const rule = current();
    if (rule === undefined) return;
    setBusy(true);
    setResult(undefined);
    try {
      setResult(await backtestRule(rule, clock.now() - Number(days) * dayMs));
    } catch (error) {
      if (isDenied(error)) setDenied(true);
      else onProblem(error instanceof Error ? error.message : String(error));
    } finally {
      setBusy(false);
    }
  };
  return (
    <section aria-label="Preview" className="grid gap-2 border-line border-t pt-4">
      <div className="flex flex-wrap items-center gap-2">
        <Button disabled={busy} onClick={run} className="min-h-9 px-4">
          {busy ? 'Looking …' : 'What would it have done?'}
        </Button>
        <Segmented label="Over" value={days} options={windows} onChange={setDays} />
      </div>
      <div role="status" aria-live="polite">
        {result !== undefined && <Outcome result={result} now={clock.now()} />}
      </div>
      {denied && (
        <ServiceKeyDrawer
          what="A preview"
          onClose={() => setDenied(false)}
          onKey={(key) => {
            setDenied(false);
            signIn(key);
          }}
        />
      )}
    </section>
  );
}

function Outcome({ result, now }: { result: BacktestResult; now: number }) {
  const { since, count, per_week, current, alerts, notes } = result;
  const instead =
    current === undefined || current.count === count
      ? ''
      : ` instead of the ${current.count} of today’s rule`;
  return (
    <div className="grid gap-2">
      <p className="font-semibold">
        {quantity(count, 'alert')}
        {instead} since {timeOfDay(Date.parse(since), now)}: {Number(per_week.toPrecision(2))} a week.
      </p>
      {notes.map((note) => (
        <p key={note} className="text-caption text-muted">
          {note}
        </p>
      ))}
      <ul>
        {alerts.slice(0, shownAlerts).map(({ opened_at, resolved_at, message, severity, delay_seconds }) => (
          <li
            key={opened_at + message}
            data-would
            className="grid gap-0.5 border-line border-t py-1.5 text-small"
          >
            <span className="text-caption text-muted">
              {severity}, {timeOfDay(Date.parse(opened_at), now)}
              {resolved_at === null
                ? ', still open'
                : `, lasted ${duration(Date.parse(resolved_at) - Date.parse(opened_at))}`}
              , {duration(1_000 * delay_seconds)} after the first bad moment
            </span>
            <span className="min-w-0 break-words">{message}</span>
          </li>
        ))}
      </ul>
      {alerts.length > shownAlerts && (
        <p className="text-muted text-small">and {alerts.length - shownAlerts} more</p>
      )}
    </div>
  );
}
