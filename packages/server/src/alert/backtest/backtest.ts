import { setTimeout as delay, setImmediate as turn } from 'node:timers/promises';
import type pg from 'pg';
import type { Labels, Rule } from '../judge.ts';
import { dayMs, minuteMs } from '../timeline.ts';
import type { Candidate } from './candidate.ts';
import { StoredHistory } from './history.ts';
import { Replay, type ReplayedAlert } from './replay.ts';

const weekMs = 7 * dayMs;
/** What is looked at when nobody says. */
const defaultWindowMs = weekMs;
/** Detectors are shown so much before the window, where it is held: they know nothing at first. */
const learningMs = 14 * dayMs;
const maxAlertsListed = 1_000;
/** Beside live traffic at most half of the time is taken, in pieces that nobody notices. */
const pieceOfWorkMs = 5;
const pauseMs = 5;

export interface BacktestedAlert {
  readonly labels: Labels;
  readonly severity: 'warning' | 'critical';
  /** ISO times. */
  readonly opened_at: string;
  /** Null while it is open at the end. */
  readonly resolved_at: string | null;
  readonly first_bad_at: string;
  readonly delay_seconds: number;
  readonly message: string;
}

export interface Backtest {
  /** What was looked at: whole minutes of what is held. */
  readonly since: string;
  readonly until: string;
  readonly alerts: readonly BacktestedAlert[];
  /** Also of those that are not listed. */
  readonly count: number;
  readonly per_week: number;
  /** What the rule of this name does as it stands, where another one was tried. */
  readonly current?: { readonly count: number; readonly per_week: number };
  /** What the reader has to know of how it was found. */
  readonly notes: readonly string[];
}

export interface BacktestOptions {
  readonly sinceMs?: number | undefined;
  readonly untilMs?: number | undefined;
  readonly nowMs: number;
  /** Stops it. */
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((doneMs: number, totalMs: number) => void) | undefined;
  /** Beside live traffic. */
  readonly isGentle?: boolean;
}

/**
 * What a rule would have done over stored history, judged by the engine's own evaluator on minutes of summaries.
 *
 * @throws the signal's reason; what the database throws
 */
export async function backtest(
  pool: pg.Pool,
  { rule, current }: Candidate,
  options: BacktestOptions,
): Promise<Backtest> {
  // The same pass over the history answers for both.
  const rules = [rule, ...(current === undefined ? [] : [{ ...current, name: `${current.name} now` }])];
  const replayed = await replayHistory(pool, rules, options);
  const { sinceMs, untilMs, notes } = replayed;
  const perWeek = (count: number) =>
    untilMs > sinceMs ? round(count / ((untilMs - sinceMs) / weekMs), 2) : 0;
  const alerts = replayed.alerts.filter((alert) => alert.rule === rule.name);
  const countNow = replayed.alerts.length - alerts.length;
  return {
    since: iso(sinceMs),
    until: iso(untilMs),
    alerts: alerts.slice(0, maxAlertsListed).map(told),
    count: alerts.length,
    per_week: perWeek(alerts.length),
    ...(current === undefined ? {} : { current: { count: countNow, per_week: perWeek(countNow) } }),
    notes: [
      ...notes,
      ...(alerts.length > maxAlertsListed ? [`The first ${maxAlertsListed} alerts are listed.`] : []),
    ],
  };
}

interface ReplayedHistory {
  /** Whole minutes of what is held, or what was asked for where nothing is. */
  readonly sinceMs: number;
  readonly untilMs: number;
  /** Of all the rules, by their names. */
  readonly alerts: readonly ReplayedAlert[];
  readonly notes: readonly string[];
}

/**
 * Shows rules of different names one pass over stored history.
 *
 * @throws the signal's reason; what the database throws
 */
export async function replayHistory(
  pool: pg.Pool,
  rules: readonly Rule[],
  { nowMs, signal, onProgress, isGentle = false, ...asked }: BacktestOptions,
): Promise<ReplayedHistory> {
  const history = new StoredHistory(pool);
  const held = await history.range();
  const notes: string[] = [];
  const askedUntilMs = asked.untilMs ?? nowMs;
  const askedSinceMs = asked.sinceMs ?? askedUntilMs - defaultWindowMs;
  // The open minute is not complete.
  const untilMs = floor(Math.min(askedUntilMs, held?.untilMs ?? askedUntilMs, nowMs));
  const sinceMs = floor(Math.max(askedSinceMs, held?.sinceMs ?? askedSinceMs));
  if (held === undefined || sinceMs >= untilMs) {
    notes.push('There is nothing stored of that time.');
    return { sinceMs: askedSinceMs, untilMs: askedUntilMs, alerts: [], notes };
  }
  const kinds = new Set(rules.map(({ kind }) => kind));
  if (sinceMs > floor(askedSinceMs)) notes.push(`Minutes are held from ${iso(sinceMs)} on.`);
  const learnsMs = kinds.has('anomaly') ? Math.max(held.sinceMs, sinceMs - learningMs) : sinceMs;
  if (kinds.has('anomaly') && sinceMs - learnsMs < learningMs)
    notes.push(
      `Detectors had ${Math.round((sinceMs - learnsMs) / 3_600_000)} h to learn before it; they need days.`,
    );
  notes.push(
    kinds.has('error_failure')
      ? 'Errors are replayed by the second where their rows are held, everything else by the minute.'
      : 'It is replayed by the minute: times may be up to a minute late.',
  );
  const replay = new Replay(rules, sinceMs);
  await history.prepare(replay.evaluator.series, floor(learnsMs));
  let pieceBeganMs = performance.now();
  for await (const minute of history.minutes(floor(learnsMs), untilMs, rules)) {
    signal?.throwIfAborted();
    replay.minute(minute);
    if (performance.now() - pieceBeganMs < pieceOfWorkMs) continue;
    onProgress?.(minute.atMs - learnsMs, untilMs - learnsMs);
    await (isGentle ? delay(pauseMs) : turn());
    pieceBeganMs = performance.now();
  }
  onProgress?.(untilMs - learnsMs, untilMs - learnsMs);
  return { sinceMs, untilMs, alerts: replay.alerts, notes };
}

function told({
  labels,
  severity,
  message,
  firstBadMs,
  openedMs,
  resolvedMs,
}: ReplayedAlert): BacktestedAlert {
  return {
    labels,
    severity,
    opened_at: iso(openedMs),
    resolved_at: resolvedMs === undefined ? null : iso(resolvedMs),
    first_bad_at: iso(firstBadMs),
    delay_seconds: round((openedMs - firstBadMs) / 1000, 1),
    message,
  };
}

const floor = (atMs: number) => Math.floor(atMs / minuteMs) * minuteMs;
const iso = (atMs: number) => new Date(atMs).toISOString();
const round = (value: number, digits: number) => Number(value.toFixed(digits));
