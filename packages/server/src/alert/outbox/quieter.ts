import type pg from 'pg';
import { replayHistory } from '../backtest/backtest.ts';
import { candidateOf, InvalidRule } from '../backtest/candidate.ts';
import type { Rule } from '../judge.ts';
import type { FiredRule } from './alertDigest.ts';

/** The noisiest come first; beyond, one digest would replay history for minutes. */
const maxRules = 3;

/** A change of one field of a rule, and how many alerts it would have raised instead of how many. */
export interface Quieter {
  readonly field: 'for_seconds' | 'keep_firing_seconds' | 'min_events';
  readonly value: number;
  readonly alerts: number;
  readonly alertsNow: number;
}

interface Window {
  readonly sinceMs: number;
  readonly untilMs: number;
  readonly nowMs: number;
  readonly signal: AbortSignal;
}

/**
 * The gentlest change of each noisy rule that would have at least halved its alerts, found by one replay of the history
 * that the digest is about. Rules that cannot be replayed, or that the replay finds quiet, have no entry; null says that
 * none of the changes would have been enough.
 *
 * @throws the signal's reason; what the database throws
 */
export async function findQuieter(
  pool: pg.Pool,
  noisy: readonly FiredRule[],
  window: Window,
): Promise<ReadonlyMap<string, Quieter | null>> {
  const tried: { name: string; rule: string; change: Omit<Quieter, 'alerts' | 'alertsNow'> | undefined }[] =
    [];
  const rules: Rule[] = [];
  const add = (rule: Rule, of: string, change: Omit<Quieter, 'alerts' | 'alertsNow'> | undefined) => {
    const name = `${of} ${change === undefined ? 'now' : `${change.field} ${change.value}`}`;
    rules.push({ ...rule, name });
    tried.push({ name, rule: of, change });
  };
  for (const fired of noisy.slice(0, maxRules)) {
    try {
      const { rule } = await candidateOf(pool, { name: fired.rule });
      add(rule, fired.rule, undefined);
      for (const change of changesOf(fired, rule)) {
        const { rule: changed } = await candidateOf(pool, {
          name: fired.rule,
          [change.field]: change.value,
        });
        add(changed, fired.rule, change);
      }
    } catch (error) {
      // It judges what is in no history, or it is gone.
      if (!(error instanceof InvalidRule)) throw error;
    }
  }
  const found = new Map<string, Quieter | null>();
  if (rules.length === 0) return found;
  const { alerts } = await replayHistory(pool, rules, { ...window, isGentle: true });
  const countOf = (name: string) => alerts.filter(({ rule }) => rule === name).length;
  for (const { name, rule, change } of tried) {
    if (change === undefined) {
      if (countOf(name) > 0) found.set(rule, null);
      continue;
    }
    const alertsNow = countOf(`${rule} now`);
    const after = countOf(name);
    if (found.get(rule) === null && after * 2 <= alertsNow)
      found.set(rule, { ...change, alerts: after, alertsNow });
  }
  return found;
}

/** What is worth a try, the gentlest first: to join what comes back, to leave out what is short, to ask for more events. */
function changesOf(
  { median_bad_seconds: badSeconds, median_pause_seconds: pauseSeconds }: FiredRule,
  { forMs, keepFiringMs, minEvents }: Rule,
): Omit<Quieter, 'alerts' | 'alertsNow'>[] {
  return [
    ...(pauseSeconds === null
      ? []
      : [{ field: 'keep_firing_seconds', value: roundUp(keepFiringMs / 1000 + pauseSeconds) } as const]),
    ...(badSeconds === null || badSeconds < 1
      ? []
      : [{ field: 'for_seconds', value: roundUp(forMs / 1000 + badSeconds) } as const]),
    ...(minEvents === 0 ? [] : [{ field: 'min_events', value: 2 * minEvents } as const]),
  ];
}

/** To a step that somebody would choose. */
function roundUp(seconds: number): number {
  const step = seconds < 60 ? 5 : seconds < 600 ? 30 : 60;
  return Math.min(86_400, Math.ceil((seconds + 0.001) / step) * step);
}
