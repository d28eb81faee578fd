import type { Digest } from '../../alert/outbox/digest.ts';

/** A model in one week, beside the week before. Changes and margins in percent; error rates in percent and points. */
export interface ModelWeek {
  readonly model: string;
  readonly days: number;
  readonly requests: number;
  readonly requestsChangePct: number | null;
  readonly requestsChangeMarginPct: number | null;
  readonly avgLatencyMs: number;
  readonly p95LatencyMs: number;
  readonly avgLatencyChangePct: number | null;
  readonly avgLatencyChangeMarginPct: number | null;
  readonly errorRatePct: number;
  readonly errorRateChangePoints: number | null;
  readonly errorRateChangeMarginPoints: number | null;
  readonly costUsd: number | null;
  readonly costChangePct: number | null;
  readonly quality: number | null;
}

export interface Week {
  /** Its Monday, `YYYY-MM-DD`. */
  readonly monday: string;
  readonly models: readonly ModelWeek[];
  /** Alerts that began in it. */
  readonly criticalAlerts: number;
  readonly warnings: number;
}

/** More models are told in one line: a digest is read in a minute. */
const maxModels = 5;
/** Below it a change is nothing that a manager acts upon, however certain it is. */
const leastChangePct = 5;
const leastChangePoints = 0.1;
const minus = '−';

/**
 * What a manager reads in a minute: the week's volume and cost, then what changed for certain, a line a model, the
 * busiest first. A change that its margin does not tell from noise is left out.
 */
export function weeklyDigest({ monday, models, criticalAlerts, warnings }: Week): Digest {
  const byRequests = [...models].sort((a, b) => b.requests - a.requests || (a.model < b.model ? -1 : 1));
  const lines = byRequests.slice(0, maxModels).map(lineOf);
  const rest = byRequests.slice(maxModels);
  if (rest.length > 0)
    lines.push(`${rest.length} other models: ${whole(sum(rest, ({ requests }) => requests))} requests.`);
  return {
    key: `week ${monday}`,
    title: `The week from ${monday}`,
    text: [volumeOf(models), changesOf(models), alertsOf(criticalAlerts, warnings)].join(' '),
    lines,
    link: `/history?period=week&start=${monday}`,
  };
}

function volumeOf(models: readonly ModelWeek[]): string {
  if (models.length === 0) return 'No requests.';
  const requests = sum(models, (model) => model.requests);
  const errors = sum(models, (model) => (model.requests * model.errorRatePct) / 100);
  const costs = models.flatMap(({ costUsd }) => (costUsd === null ? [] : [costUsd]));
  const cost = costs.length === 0 ? '' : `, ${dollars(costs.reduce((a, b) => a + b, 0))}`;
  return `${whole(requests)} requests of ${models.length === 1 ? 'one model' : `${models.length} models`}, ${number((100 * errors) / requests)} % failed${cost}.`;
}

function changesOf(models: readonly ModelWeek[]): string {
  const worse = models.filter((model) => isSlower(model) || hasMoreErrors(model));
  if (models.length === 0) return '';
  if (worse.length === 0) return 'No model got slower or fails more than the week before.';
  const names = worse.slice(0, 3).map(({ model }) => model);
  const more = worse.length > names.length ? ` and ${worse.length - names.length} more` : '';
  return `Worse than the week before: ${names.join(', ')}${more}.`;
}

function alertsOf(critical: number, warnings: number): string {
  if (critical + warnings === 0) return 'No alerts.';
  return `Alerts: ${critical} critical, ${warnings} ${warnings === 1 ? 'warning' : 'warnings'}.`;
}

function lineOf(week: ModelWeek): string {
  const { model, requests, avgLatencyMs, p95LatencyMs, errorRatePct, costUsd, costChangePct, quality } = week;
  const facts = [
    `${whole(requests)} requests${told(isMoreOrFewer(week), week.requestsChangePct, '%', ' a day')}`,
    `${number(avgLatencyMs)} ms on average${told(isSlower(week) || isFaster(week), week.avgLatencyChangePct, '%')}, p95 ${number(p95LatencyMs)} ms`,
    `${number(errorRatePct)} % failed${told(hasMoreErrors(week) || hasFewerErrors(week), week.errorRateChangePoints, 'points')}`,
  ];
  if (costUsd !== null)
    facts.push(
      `${dollars(costUsd)}${told(Math.abs(costChangePct ?? 0) >= leastChangePct, costChangePct, '%', ' a day')}`,
    );
  if (quality !== null) facts.push(`quality ${number(quality)}`);
  const days = week.days < 7 ? ` (${week.days} ${week.days === 1 ? 'day' : 'days'})` : '';
  return `${model}${days}: ${facts.join('; ')}.`;
}

function isMoreOrFewer({ requestsChangePct, requestsChangeMarginPct }: ModelWeek): boolean {
  return isCertain(requestsChangePct, requestsChangeMarginPct, leastChangePct);
}

function isSlower({ avgLatencyChangePct, avgLatencyChangeMarginPct }: ModelWeek): boolean {
  return (
    isCertain(avgLatencyChangePct, avgLatencyChangeMarginPct, leastChangePct) && avgLatencyChangePct! > 0
  );
}

function isFaster({ avgLatencyChangePct, avgLatencyChangeMarginPct }: ModelWeek): boolean {
  return (
    isCertain(avgLatencyChangePct, avgLatencyChangeMarginPct, leastChangePct) && avgLatencyChangePct! < 0
  );
}

function hasMoreErrors({ errorRateChangePoints, errorRateChangeMarginPoints }: ModelWeek): boolean {
  return (
    isCertain(errorRateChangePoints, errorRateChangeMarginPoints, leastChangePoints) &&
    errorRateChangePoints! > 0
  );
}

function hasFewerErrors({ errorRateChangePoints, errorRateChangeMarginPoints }: ModelWeek): boolean {
  return (
    isCertain(errorRateChangePoints, errorRateChangeMarginPoints, leastChangePoints) &&
    errorRateChangePoints! < 0
  );
}

/** Without a margin nobody knows. */
function isCertain(change: number | null, margin: number | null, least: number): boolean {
  return change !== null && margin !== null && Math.abs(change) >= least && Math.abs(change) > margin;
}

function told(isTold: boolean, change: number | null, unit: string, per = ''): string {
  if (!isTold || change === null) return '';
  return ` (${change > 0 ? '+' : minus}${number(Math.abs(change))} ${unit}${per})`;
}

/** Three significant digits, no exponent. */
function number(value: number): string {
  if (value >= 100) return whole(value);
  return String(Number(value.toPrecision(3)));
}

function whole(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}

function dollars(value: number): string {
  const digits = value >= 100 || value === 0 ? 0 : 2;
  return `$${value.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits })}`;
}

function sum(models: readonly ModelWeek[], of: (model: ModelWeek) => number): number {
  return models.reduce((total, model) => total + of(model), 0);
}
