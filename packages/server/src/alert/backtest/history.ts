import type pg from 'pg';
import { EngineStore } from '../engineStore.ts';
import type { Rule } from '../judge.ts';
import type { AllSeries, ClientMinute, ModelMinute } from '../series.ts';
import { dayMs, fiveMs, hourMs, minuteMs } from '../timeline.ts';
import type { HistoryMinute } from './replay.ts';

/** Read at once; less where there are many models. */
const pieceMs = hourMs;
/** The store answers at most so many rows. */
const fullAnswer = 5_000;
/** In a piece with more errors than this, seconds say no more than minutes. */
const maxErrorRows = 50_000;

/** Minutes of stored history, an hour at a time. */
export class StoredHistory {
  readonly #pool: pg.Pool;
  readonly #store: EngineStore;

  constructor(pool: pg.Pool) {
    this.#pool = pool;
    this.#store = new EngineStore(pool);
  }

  /** From when on minutes are held, and until when; undefined while there are none. */
  async range(): Promise<{ sinceMs: number; untilMs: number } | undefined> {
    const { rows } = await this.#pool.query<{ since_ms: number | null; until_ms: number | null }>(
      `select extract(epoch from min(minute))::double precision * 1000 as since_ms,
         extract(epoch from least(max(minute) + interval '1 minute', now()))::double precision * 1000 as until_ms
       from (
         (select minute from nowcast.model_summaries where tier_seconds = 60 order by minute limit 1)
         union all
         (select minute from nowcast.model_summaries where tier_seconds = 60 order by minute desc limit 1)
         union all
         select minute from nowcast.summary_partials
       ) m`,
    );
    const { since_ms: sinceMs, until_ms: untilMs } = rows[0]!;
    return sinceMs === null || untilMs === null ? undefined : { sinceMs, untilMs };
  }

  /** Shows series what an engine that begins at that time would have known. */
  async prepare(series: AllSeries, nowMs: number): Promise<void> {
    for await (const { tier, totals } of this.#store.past(nowMs)) {
      for (const { model, atMs, totals: each } of totals) series.takePast(model, tier, atMs, each);
    }
    series.takeMinutes(await this.#minutes(nowMs - hourMs - 10 * minuteMs, nowMs));
    for (const [bucketMs, agoMs] of [
      [hourMs, 2 * dayMs],
      [fiveMs, dayMs],
      [minuteMs, hourMs],
    ] as const) {
      const sinceMs = Math.floor((nowMs - agoMs) / bucketMs) * bucketMs;
      series.takePastClients(await this.#store.clients(bucketMs, sinceMs, nowMs), bucketMs, nowMs);
    }
    series.assumeLastEvents(nowMs);
  }

  /** Both ends are full minutes. */
  async *minutes(sinceMs: number, untilMs: number, rules: readonly Rule[]): AsyncGenerator<HistoryMinute> {
    const needsClients = rules.some(({ kind }) => kind === 'client_silent');
    const needsSeconds = rules.some(({ kind }) => kind === 'error_failure');
    for (let fromMs = sinceMs; fromMs < untilMs; fromMs += pieceMs) {
      const toMs = Math.min(untilMs, fromMs + pieceMs);
      const models = byMinute(await this.#minutes(fromMs, toMs));
      const clients = byMinute(needsClients ? await this.#store.clients(minuteMs, fromMs, toMs) : []);
      const seconds = needsSeconds ? await this.#errorSeconds(fromMs, toMs, models) : new Map();
      for (let atMs = fromMs; atMs < toMs; atMs += minuteMs) {
        yield {
          atMs,
          models: models.get(atMs) ?? [],
          clients: clients.get(atMs) ?? [],
          errorSeconds: seconds.get(atMs) ?? noSeconds,
        };
      }
    }
  }

  async #minutes(sinceMs: number, untilMs: number): Promise<ModelMinute[]> {
    const rows = await this.#store.recentMinutes(sinceMs, untilMs);
    if (rows.length < fullAnswer || untilMs - sinceMs <= minuteMs) return rows;
    const middleMs = Math.floor((sinceMs + untilMs) / 2 / minuteMs) * minuteMs;
    return [...(await this.#minutes(sinceMs, middleMs)), ...(await this.#minutes(middleMs, untilMs))];
  }

  /** Errors by the second; nothing where rows are gone. */
  async #errorSeconds(
    sinceMs: number,
    untilMs: number,
    models: ReadonlyMap<number, readonly ModelMinute[]>,
  ): Promise<Map<number, Map<string, number[]>>> {
    const seconds = new Map<number, Map<string, number[]>>();
    let all = 0;
    for (const minute of models.values()) for (const { totals } of minute) all += totals.errors;
    if (all === 0 || all > maxErrorRows) return seconds;
    const { rows } = await this.#pool.query<{ model: string; at_ms: number; errors: number }>(
      `select l.model_version as model, extract(epoch from date_trunc('second', l.timestamp))::double precision * 1000 as at_ms,
         count(*)::double precision as errors
       from public.inference_logs l
       where l.is_error and l.timestamp >= $1 and l.timestamp < $2
       group by 1, 2`,
      [new Date(sinceMs), new Date(untilMs)],
    );
    for (const { model, at_ms: atMs, errors } of rows) {
      const minute = Math.floor(atMs / minuteMs) * minuteMs;
      const ofMinute = seconds.get(minute) ?? new Map<string, number[]>();
      seconds.set(minute, ofMinute);
      const ofModel = ofMinute.get(model) ?? new Array<number>(60).fill(0);
      ofMinute.set(model, ofModel);
      ofModel[(atMs - minute) / 1000]! += errors;
    }
    // Rows that are gone, or were only counted: the minute's own figure is right.
    for (const [atMs, minute] of models) {
      for (const { model, totals } of minute) {
        const found =
          seconds
            .get(atMs)
            ?.get(model)
            ?.reduce((sum, errors) => sum + errors, 0) ?? 0;
        if (found !== totals.errors) seconds.get(atMs)?.delete(model);
      }
    }
    return seconds;
  }
}

const noSeconds: ReadonlyMap<string, readonly number[]> = new Map();

function byMinute<Row extends ModelMinute | ClientMinute>(rows: readonly Row[]): Map<number, Row[]> {
  const minutes = new Map<number, Row[]>();
  for (const row of rows) {
    const minute = minutes.get(row.atMs);
    if (minute === undefined) minutes.set(row.atMs, [row]);
    else minute.push(row);
  }
  return minutes;
}
