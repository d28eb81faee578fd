import { spawn } from 'node:child_process';
import os from 'node:os';
import type pg from 'pg';
import type { Logger } from 'pino';
import type { Settings } from '../settings.ts';
import { cliPath } from './cliPath.ts';
import { coldPlace } from './cold/place.ts';
import { sendWeeklyDigest } from './digest/send.ts';
import { closePeriods } from './etl.ts';
import { hotDaysNow } from './hotWindow.ts';
import { runRetention } from './retention.ts';

/** How often the clock is looked at; what is due begins at most this late. */
const intervalMs = 60_000;
/** Archiving gives way to ingest wherever the two want the same core. */
const archivePriority = 10;

/**
 * Closes days at 02:00 of the configured zone, what late events changed each hour, and takes old days away each night.
 * No state of its own: the ledger says what is due, so a server that was down catches up within a minute, and of
 * several servers each period is closed by one.
 */
export class History {
  readonly #pool: pg.Pool;
  readonly #settings: Settings;
  readonly #log: Logger;
  readonly #databaseUrl: string;
  readonly #timer: NodeJS.Timeout;
  readonly #stopping = new AbortController();
  #running: Promise<void> | undefined;
  #closedIn = '';
  #triedIn = '';
  #retiredOn = '';
  #digestedOn = '';

  /** @throws StartupError when the archive cannot be where the settings say */
  constructor(pool: pg.Pool, databaseUrl: string, settings: Settings, log: Logger) {
    if (settings.coldUrl !== undefined) coldPlace(settings.coldUrl);
    this.#pool = pool;
    this.#databaseUrl = databaseUrl;
    this.#settings = settings;
    this.#log = log;
    this.#timer = setInterval(() => {
      this.#running ??= this.#run().finally(() => (this.#running = undefined));
    }, intervalMs);
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    this.#stopping.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const now = new Date();
    const { hour, day, closable } = nightlyClock(now, this.#settings.timezone);
    if (this.#closedIn !== hour) {
      await this.#try('closing days', async () => {
        const { days } = await closePeriods(this.#pool, {
          zone: this.#settings.timezone,
          to: closable,
          signal: this.#stopping.signal,
        });
        if (days.length > 0) this.#log.info({ days }, 'closed days of the history');
        this.#closedIn = hour;
      });
    }
    // Only of days that are closed.
    if (this.#settings.digest !== 'off' && this.#digestedOn !== day && this.#closedIn === hour) {
      await this.#try('the weekly digest', async () => {
        if (await sendWeeklyDigest(this.#pool, this.#settings.timezone, now)) this.#digestedOn = day;
      });
    }
    // A full disk is not better a minute later: once an hour until it succeeds.
    if (this.#retiredOn !== day && this.#triedIn !== hour) {
      this.#triedIn = hour;
      await this.#try('retention', async () => {
        await this.#retire();
        this.#retiredOn = day;
      });
    }
  }

  async #try(what: string, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (!this.#stopping.signal.aborted) this.#log.warn({ err: error }, `${what} failed; it is tried again`);
    }
  }

  async #retire(): Promise<void> {
    const { minuteDays, coldUrl, coldDays } = this.#settings;
    const { hotDays, announcement } = await hotDaysNow(this.#pool, this.#settings);
    if (announcement !== undefined) this.#log.warn(announcement);
    if (coldUrl !== undefined) return await this.#retireInChild(hotDays);
    await runRetention(this.#pool, {
      hotDays,
      minuteDays,
      coldDays,
      place: undefined,
      signal: this.#stopping.signal,
      onStep: (step) => this.#log.info(step, 'retention'),
    });
  }

  /** Archiving moves millions of rows: in a process of its own it takes neither our event loop nor our memory. */
  async #retireInChild(hotDays: number): Promise<void> {
    const child = spawn(process.execPath, [cliPath, 'retention', 'run', '--gently'], {
      env: { ...process.env, DATABASE_URL: this.#databaseUrl, NOWCAST_HOT_DAYS: String(hotDays) },
      stdio: ['ignore', 'pipe', 'pipe'],
      signal: this.#stopping.signal,
    });
    if (child.pid !== undefined) os.setPriority(child.pid, archivePriority);
    let said = '';
    let complained = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (said += text));
    child.stderr
      .setEncoding('utf8')
      .on('data', (text: string) => (complained = (complained + text).slice(-2_000)));
    const code = await new Promise<number | null>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', resolve);
    });
    if (code !== 0) throw new Error(`nowcast retention run ended with ${code}: ${complained}`);
    this.#log.info({ steps: said.trim().split('\n').slice(1) }, 'retention');
  }
}

/** The hour of a zone, the day as nights have it (a new one begins at 02:00), and the one before, which may be closed. */
export function nightlyClock(now: Date, zone: string): { hour: string; day: string; closable: string } {
  const parts = new Intl.DateTimeFormat('en-CA', {
    timeZone: zone,
    hourCycle: 'h23',
    year: 'numeric',
    month: '2-digit',
    day: '2-digit',
    hour: '2-digit',
  }).formatToParts(now);
  const part = (type: string) => parts.find((one) => one.type === type)!.value;
  const date = `${part('year')}-${part('month')}-${part('day')}`;
  const midnight = Date.parse(`${date}T00:00:00Z`);
  const dayBack = (days: number) => new Date(midnight - days * 86_400_000).toISOString().slice(0, 10);
  const nightsBack = Number(part('hour')) < 2 ? 1 : 0;
  return { hour: `${date} ${part('hour')}`, day: dayBack(nightsBack), closable: dayBack(nightsBack + 1) };
}
