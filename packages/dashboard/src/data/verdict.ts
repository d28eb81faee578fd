import { type Alert, isOpen } from './alerts.ts';
import type { Bucket } from './bucket.ts';
import { type Connection, isCutOff } from './connection.ts';
import { count, duration, percent, quantity } from './format.ts';
import { groupBy } from './group.ts';
import type { Failures } from './liveFeed.ts';
import { minuteMs } from './minutes.ts';

/** "Is it working?", answered from the last minutes. Pure. */

export type Level =
  | 'good'
  | 'warning'
  | 'bad'
  /** Nothing to judge yet. */
  | 'waiting'
  /** The page cannot know. */
  | 'unknown';

export interface Reason {
  readonly id: string;
  readonly level: Level;
  readonly text: string;
  readonly model?: string;
  /** Server time since which it is so. */
  readonly since?: number;
  /** Server time at which it ended, where it is told because it was a moment ago. */
  readonly until?: number;
  /** Where its cause is told. */
  readonly incidentId?: number;
  /** Alerts of the same incident beside the one that is told. */
  readonly others?: number;
}

export interface Verdict {
  readonly level: Level;
  readonly sentence: string;
  readonly reasons: readonly Reason[];
}

export interface Evidence {
  readonly now: number;
  readonly connection: Connection;
  readonly failures: Failures;
  readonly minutes: readonly Bucket[];
  readonly alerts: readonly Alert[] | undefined;
  readonly newestEventAt: number | null | undefined;
  /** Whether the server says that its database does not answer. */
  readonly isBlind: boolean;
}

/** What the verdict looks at. */
const verdictWindowMs = 5 * minuteMs;
/** The same bound as GET /health: silence for five minutes is worth a word. */
const silentMs = 5 * minuteMs;
export const errorWarningPct = 5;
export const errorBadPct = 20;
/** Fewer requests than this say nothing about a rate. */
const minRequests = 20;

const blindSentence = 'Cannot tell: the database of Nowcast does not answer.';

export function judge(evidence: Evidence): Verdict {
  const { connection, failures, minutes, alerts, newestEventAt, now, isBlind } = evidence;
  if (newestEventAt === undefined) {
    if (failures.metrics !== undefined) {
      return { level: 'unknown', sentence: 'Cannot tell: the figures could not be loaded.', reasons: [] };
    }
    if (isCutOff(connection)) {
      return { level: 'unknown', sentence: 'Cannot tell: the server does not answer.', reasons: [] };
    }
    if (isBlind) return { level: 'unknown', sentence: blindSentence, reasons: [] };
    return { level: 'unknown', sentence: 'Looking …', reasons: [] };
  }
  if (isCutOff(connection)) {
    const why =
      connection.phase === 'offline' ? 'this device is offline' : 'the connection to Nowcast is lost';
    const before = judge({ ...evidence, connection: { ...connection, phase: 'live' }, isBlind: false });
    const reason: Reason = { id: 'before', level: 'unknown', text: `Last known: ${before.sentence}` };
    return { level: 'unknown', sentence: `Cannot tell: ${why}.`, reasons: [reason] };
  }
  if (isBlind) {
    const before = judge({ ...evidence, isBlind: false });
    const reason: Reason = { id: 'blind', level: 'unknown', text: `Last known: ${before.sentence}` };
    return { level: 'unknown', sentence: blindSentence, reasons: [reason] };
  }
  if (newestEventAt === null)
    return { level: 'waiting', sentence: 'Waiting for the first event.', reasons: [] };

  const silentFor = now - newestEventAt;
  const reasons: Reason[] = [];
  if (silentFor >= silentMs && !isSilenceTold(alerts ?? [], minutes)) {
    const text = `No event for ${duration(silentFor)}.`;
    reasons.push({ id: 'silent', level: 'warning', text, since: newestEventAt });
  }
  reasons.push(...troubles(highErrorRates(minutes, now), (alerts ?? []).filter(isOpen)));
  if (failures.alerts !== undefined) {
    reasons.push({ id: 'alerts unknown', level: 'warning', text: 'The open alerts could not be loaded.' });
  }
  reasons.sort((a, b) => Number(b.level === 'bad') - Number(a.level === 'bad'));

  const worst = reasons[0];
  if (worst === undefined) {
    return { level: 'good', sentence: 'Yes, it is working.', reasons: [recentTraffic(minutes, now)] };
  }
  if (worst.level === 'bad') return { level: 'bad', sentence: 'No, something is wrong.', reasons };
  if (worst.id === 'silent' && reasons.length === 1) {
    return { level: 'warning', sentence: 'Nothing is coming in.', reasons };
  }
  return { level: 'warning', sentence: 'It works, but not as it should.', reasons };
}

/** Minutes that belong to the verdict's window, the one under way included. */
export function recent(minutes: readonly Bucket[], now: number): readonly Bucket[] {
  const first = Math.floor(now / minuteMs) * minuteMs - verdictWindowMs + minuteMs;
  return minutes.filter(({ start }) => start >= first);
}

/**
 * Each trouble once: what fails now, with the alert about it, then the other alerts by their incident. The figures of a
 * failure are newer than the words of its alert.
 */
function troubles(failures: readonly Reason[], alerts: readonly Alert[]): Reason[] {
  const aboutErrors = (alert: Alert) =>
    alert.type === 'error_rate' ? failures.find(({ model }) => model === alert.model) : undefined;
  const told = groupBy(alerts, aboutErrors);
  const byIncident = groupBy(told.get(undefined) ?? [], ({ id, incidentId }) => incidentId ?? `alert ${id}`);
  return [
    ...failures.map((failure) => withAlerts(failure, told.get(failure) ?? [])),
    ...[...byIncident.values()].map(ofIncident),
  ];
}

function withAlerts(failure: Reason, alerts: readonly Alert[]): Reason {
  const level = alerts.some(isCritical) ? 'bad' : failure.level;
  const incidentId = alerts.find((alert) => alert.incidentId !== null)?.incidentId ?? undefined;
  return { ...failure, level, ...(incidentId !== undefined && { incidentId }) };
}

/** By an alert about all models, or about the only one. */
function isSilenceTold(alerts: readonly Alert[], minutes: readonly Bucket[]): boolean {
  const isOnly = (model: string) => minutes.every((row) => row.model === model);
  return alerts.some(
    ({ type, model, firing }) => firing && type === 'no_data' && (model === undefined || isOnly(model)),
  );
}

/** In the words of its gravest, oldest alert, like its title. */
function ofIncident(alerts: readonly Alert[]): Reason {
  const lead = [...alerts].sort(
    (a, b) => Number(isCritical(b)) - Number(isCritical(a)) || a.at - b.at || a.id - b.id,
  )[0]!;
  return {
    id: `alert ${lead.id}`,
    level: isCritical(lead) ? 'bad' : 'warning',
    text: lead.message,
    since: Math.min(...alerts.map(({ at }) => at)),
    ...(lead.model !== undefined && { model: lead.model }),
    ...(lead.incidentId !== null && { incidentId: lead.incidentId }),
    ...(alerts.length > 1 && { others: alerts.length - 1 }),
  };
}

function isCritical({ severity }: Alert): boolean {
  return severity === 'critical';
}

function highErrorRates(minutes: readonly Bucket[], now: number): Reason[] {
  const byModel = groupBy(recent(minutes, now), ({ model }) => model);
  return [...byModel].flatMap(([model, rows]): Reason[] => {
    const requests = sum(rows, (row) => row.requests);
    const errors = sum(rows, (row) => row.errors);
    const rate = (100 * errors) / requests;
    if (requests < minRequests || rate < errorWarningPct) return [];
    return [
      {
        id: `errors ${model}`,
        level: rate >= errorBadPct ? 'bad' : 'warning',
        text: `${percent(rate)} of the requests to ${model} failed in the last 5 minutes (${count(errors)} of ${count(requests)}).`,
        model,
        ...failing(minutes, model),
      },
    ];
  });
}

/** The newest unbroken run of minutes above the bound; without an end where it reaches to now. */
function failing(minutes: readonly Bucket[], model: string): Pick<Reason, 'since' | 'until'> {
  let since: number | undefined;
  let until: number | undefined;
  for (const row of minutes.filter((row) => row.model === model).reverse()) {
    if ((100 * row.errors) / row.requests >= errorWarningPct) since = row.start;
    else if (since !== undefined) break;
    // A last minute with few requests yet does not end the run; a healthy one with enough does.
    else if (row.requests >= minRequests) until = row.start;
  }
  return { ...(since !== undefined && { since }), ...(until !== undefined && { until }) };
}

function recentTraffic(minutes: readonly Bucket[], now: number): Reason {
  const rows = recent(minutes, now);
  const requests = sum(rows, (row) => row.requests);
  const errors = sum(rows, (row) => row.errors);
  const models = new Set(rows.map(({ model }) => model)).size;
  return {
    id: 'traffic',
    level: 'good',
    text: `${quantity(models, 'model version')} answered ${quantity(requests, 'request')} in the last 5 minutes, ${percent(
      requests === 0 ? 0 : (100 * errors) / requests,
    )} with an error. No open alert.`,
  };
}

function sum(rows: readonly Bucket[], of: (row: Bucket) => number): number {
  return rows.reduce((total, row) => total + of(row), 0);
}
