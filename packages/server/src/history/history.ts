import { spawn } from 'node:child_process';
import type pg from 'pg';
import type { Logger } from 'pino';
import type { Settings } from '../settings.ts';
import { cliPath } from './cliPath.ts';
import { coldPlace } from './cold/place.ts';
import { sendWeeklyDigest } from './digest/send.ts';
import { closePeriods } from './etl.ts';
import { giveWay } from './giveWay.ts';
import { hotDaysNow } from './hotWindow.ts';
import { runRetention } from './retention.ts';

/**
 * What is done with days that are over. No state of its own: the ledger says which are closed and with what, so whatever
 * was missed is made up for, and doing it twice changes nothing.
 */
export class History {
  readonly #pool: pg.Pool;
  readonly #settings: Settings;
  readonly #log: Logger;
  readonly #databaseUrl: string;

  /** @throws StartupError when the archive cannot be where the settings say */
  constructor(pool: pg.Pool, databaseUrl: string, settings: Settings, log: Logger) {
    if (settings.coldUrl !== undefined) coldPlace(settings.coldUrl);
    this.#pool = pool;
    this.#databaseUrl = databaseUrl;
    this.#settings = settings;
    this.#log = log;
  }

  /** Closes the days that ended before 02:00 of today, and those that late events changed. */
  async closeDays(signal: AbortSignal): Promise<void> {
    const { timezone: zone } = this.#settings;
    const { days } = await closePeriods(this.#pool, { zone, to: closableDay(new Date(), zone), signal });
    if (days.length > 0) this.#log.info({ days }, 'closed days of the history');
  }

  /** Hands the channels the digest of the week before, when it is time and nobody has. */
  async sendWeeklyDigest(signal: AbortSignal): Promise<void> {
    // Only of days that are closed.
    await this.closeDays(signal);
    await sendWeeklyDigest(this.#pool, this.#settings.timezone, new Date());
  }

  /** Archives and drops days beyond the hot window. */
  async retire(signal: AbortSignal): Promise<void> {
    const { minuteDays, coldUrl, coldDays } = this.#settings;
    const { hotDays, announcement } = await hotDaysNow(this.#pool, this.#settings);
    if (announcement !== undefined) this.#log.warn(announcement);
    if (coldUrl !== undefined) return await this.#retireInChild(hotDays, signal);
    await runRetention(this.#pool, {
      hotDays,
      minuteDays,
      coldDays,
      place: undefined,
      signal,
      onStep: (step) => this.#log.info(step, 'retention'),
    });
  }

  /** Archiving moves millions of rows: in a process of its own it takes neither our event loop nor our memory. */
  async #retireInChild(hotDays: number, signal: AbortSignal): Promise<void> {
    const child = spawn(process.execPath, [cliPath, 'retention', 'run', '--gently'], {
      env: { ...process.env, DATABASE_URL: this.#databaseUrl, NOWCAST_HOT_DAYS: String(hotDays) },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
      signal,
    });
    let said = '';
    let complained = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (said += text));
    child.stderr
      .setEncoding('utf8')
      .on('data', (text: string) => (complained = (complained + text).slice(-2_000)));
    const ended = new Promise<number | null>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', resolve);
    });
    const [code] = await Promise.all([ended, child.pid !== undefined && giveWay(child.pid)]);
    if (code !== 0) throw new Error(`nowcast retention run ended with ${code}: ${complained}`);
    this.#log.info({ steps: said.trim().split('\n').slice(1) }, 'retention');
  }
}

/** The newest day that may be closed, `YYYY-MM-DD`: the one before today, and before 02:00 the one before that. */
export function closableDay(now: Date, zone: string): string {
  const parts = new Intl.DateTimeFormat('en-CA', {
    timeZone: zone,
    hourCycle: 'h23',
    year: 'numeric',
    month: '2-digit',
    day: '2-digit',
    hour: '2-digit',
  }).formatToParts(now);
  const part = (type: string) => parts.find((one) => one.type === type)!.value;
  const midnight = Date.parse(`${part('year')}-${part('month')}-${part('day')}T00:00:00Z`);
  const daysBack = Number(part('hour')) < 2 ? 2 : 1;
  return new Date(midnight - daysBack * 86_400_000).toISOString().slice(0, 10);
}
