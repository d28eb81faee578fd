import type pg from 'pg';
import { duration } from '../message/words.ts';
import { type Digest, enqueueDigest } from './digest.ts';

/** A rule that fired as often is worth a thought. */
const noisyCount = 5;
/** When at most this share of its alerts was taken in hand, people have learnt to ignore it. */
const ignoredShare = 0.2;
/** People read it when they come to work. */
const sendHour = 8;

/** How one rule fared (`nowcast.fired_rules`). */
export interface FiredRule {
  readonly rule: string;
  readonly fired: number;
  readonly acknowledged: number;
  /** Half of its alerts were bad for less. */
  readonly median_bad_seconds: number | null;
  /** Came back within half an hour of their end. */
  readonly returned: number;
  readonly median_pause_seconds: number | null;
  readonly for_seconds: number | null;
  readonly keep_firing_seconds: number | null;
}

/** Sends the digest of the period before the one of `now`, when it is time and nobody has. @returns whether it did */
export async function sendAlertDigest(
  pool: pg.Pool,
  every: 'daily' | 'weekly',
  zone: string,
  now: Date,
): Promise<boolean> {
  const day = digestDay(every, zone, now);
  if (day === undefined) return false;
  const days = every === 'daily' ? 1 : 7;
  const { rows } = await pool.query<FiredRule>(
    `select * from nowcast.fired_rules(($1::date - $3::integer)::timestamp at time zone $2, $1::date::timestamp at time zone $2)`,
    [day, zone, days],
  );
  return await enqueueDigest(pool, alertDigest(rows, every, day));
}

/** The day of `now` in the zone, where a digest is due on it at this hour; else undefined. */
export function digestDay(every: 'daily' | 'weekly', zone: string, now: Date): string | undefined {
  const parts = new Intl.DateTimeFormat('en-CA', {
    timeZone: zone,
    hourCycle: 'h23',
    year: 'numeric',
    month: '2-digit',
    day: '2-digit',
    hour: '2-digit',
    weekday: 'short',
  }).formatToParts(now);
  const part = (type: string) => parts.find((one) => one.type === type)!.value;
  if (Number(part('hour')) < sendHour || (every === 'weekly' && part('weekday') !== 'Mon')) return undefined;
  return `${part('year')}-${part('month')}-${part('day')}`;
}

/** What fired, noisy rules with the change that would have halved their noise. Pure. */
export function alertDigest(rules: readonly FiredRule[], every: 'daily' | 'weekly', day: string): Digest {
  const total = rules.reduce((sum, { fired }) => sum + fired, 0);
  const acknowledged = rules.reduce((sum, rule) => sum + rule.acknowledged, 0);
  const period = every === 'daily' ? 'day' : 'week';
  const noisy = rules.filter(isNoisy);
  return {
    key: `alerts-${every}-${day}`,
    title:
      total === 0
        ? `Quiet: no alert in the ${period} before ${day}`
        : `${count(total, 'alert')} in the ${period} before ${day}, ${acknowledged} acknowledged`,
    text:
      total === 0
        ? 'No rule fired.'
        : noisy.length === 0
          ? 'No rule was noisy.'
          : `Noisy: ${noisy.map(({ rule }) => rule).join(', ')}.`,
    lines: rules
      .slice(0, 20)
      .map(
        (rule) =>
          `${rule.rule}: ${count(rule.fired, 'alert')}, ${rule.acknowledged} acknowledged${adviceOf(rule)}`,
      ),
    link: '/alerts',
  };
}

function isNoisy({ fired, acknowledged }: FiredRule): boolean {
  return fired >= noisyCount && acknowledged <= fired * ignoredShare;
}

/** From what fired: both changes leave out half of these alerts by the meaning of a median. */
function adviceOf(rule: FiredRule): string {
  if (!isNoisy(rule)) return '';
  if (rule.returned * 2 >= rule.fired && rule.median_pause_seconds !== null) {
    const seconds = roundUp((rule.keep_firing_seconds ?? 0) + rule.median_pause_seconds);
    return `. Noisy: ${rule.returned} came back within half an hour; keep_firing_seconds = ${seconds} would have joined half of those to the alert before`;
  }
  if (rule.median_bad_seconds === null || rule.median_bad_seconds < 1)
    return '. Noisy: raise its threshold or its min_events';
  const seconds = roundUp((rule.for_seconds ?? 0) + rule.median_bad_seconds);
  return `. Noisy: half of them were over in ${duration(rule.median_bad_seconds * 1000)}; for_seconds = ${seconds} would have left those out`;
}

function roundUp(seconds: number): number {
  const step = seconds < 60 ? 5 : seconds < 600 ? 30 : 60;
  return Math.ceil((seconds + 0.001) / step) * step;
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}
