import type pg from 'pg';
import { duration } from '../message/words.ts';
import { type Digest, enqueueDigest, isDigestMade } from './digest.ts';
import { findQuieter, type Quieter } from './quieter.ts';

/** A rule that fired as often is worth a thought. */
const noisyCount = 5;
/** When at most this share of its alerts was taken in hand, people have learnt to ignore it. */
const ignoredShare = 0.2;
/** A replay that takes longer is given up, and the digest goes without its advice. */
const replayLimitMs = 120_000;
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

interface DigestOptions {
  readonly every: 'daily' | 'weekly';
  /** IANA name: whose morning it comes in. */
  readonly zone: string;
  readonly now: Date;
  /** Ends the replay of a server that stops. */
  readonly signal: AbortSignal;
}

/** Sends the digest of the period before the one of `now`, when it is time and nobody has. @returns whether it did */
export async function sendAlertDigest(
  pool: pg.Pool,
  { every, zone, now, signal }: DigestOptions,
): Promise<boolean> {
  const day = digestDay(every, zone, now);
  if (day === undefined || (await isDigestMade(pool, keyOf(every, day)))) return false;
  const { rows: period } = await pool.query<{ since: Date; until: Date }>(
    `select ($1::date - $3::integer)::timestamp at time zone $2 as since, $1::date::timestamp at time zone $2 as until`,
    [day, zone, every === 'daily' ? 1 : 7],
  );
  const { since, until } = period[0]!;
  const { rows } = await pool.query<FiredRule>('select * from nowcast.fired_rules($1, $2)', [since, until]);
  const limit = AbortSignal.any([signal, AbortSignal.timeout(replayLimitMs)]);
  let quieter: ReadonlyMap<string, Quieter | null> | undefined;
  try {
    quieter = await findQuieter(pool, rows.filter(isNoisy), {
      sinceMs: since.getTime(),
      untilMs: until.getTime(),
      nowMs: now.getTime(),
      signal: limit,
    });
  } catch (error) {
    if (!limit.aborted) throw error;
    signal.throwIfAborted();
  }
  return await enqueueDigest(pool, alertDigest(rows, quieter, every, day));
}

const keyOf = (every: 'daily' | 'weekly', day: string) => `alerts-${every}-${day}`;

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

/**
 * What fired, noisy rules with the change that would have halved their noise. Pure.
 *
 * @param quieter what a replay found; undefined where there was no time for one
 */
export function alertDigest(
  rules: readonly FiredRule[],
  quieter: ReadonlyMap<string, Quieter | null> | undefined,
  every: 'daily' | 'weekly',
  day: string,
): Digest {
  const total = rules.reduce((sum, { fired }) => sum + fired, 0);
  const acknowledged = rules.reduce((sum, rule) => sum + rule.acknowledged, 0);
  const period = every === 'daily' ? 'day' : 'week';
  const noisy = rules.filter(isNoisy);
  return {
    key: keyOf(every, day),
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
          `${rule.rule}: ${count(rule.fired, 'alert')}, ${rule.acknowledged} acknowledged${isNoisy(rule) ? adviceOf(rule, quieter) : ''}`,
      ),
    link: '/alerts',
  };
}

function isNoisy({ fired, acknowledged }: FiredRule): boolean {
  return fired >= noisyCount && acknowledged <= fired * ignoredShare;
}

function adviceOf(
  { rule, returned, median_bad_seconds: badSeconds }: FiredRule,
  quieter: ReadonlyMap<string, Quieter | null> | undefined,
): string {
  const facts = [
    ...(returned > 0 ? [`${returned} came back within half an hour`] : []),
    ...(badSeconds === null || badSeconds < 1
      ? []
      : [`half of them were over in ${duration(badSeconds * 1000)}`]),
  ];
  const noisy = `. Noisy${facts.length === 0 ? '' : `: ${facts.join(', ')}`}`;
  const found = quieter?.get(rule);
  if (found === undefined) return noisy;
  if (found === null)
    return `${noisy}; neither waiting nor asking for more events would have halved them: change its condition`;
  return `${noisy}; replayed with ${found.field} = ${found.value} it fires ${found.alerts} instead of ${found.alertsNow} times`;
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}
