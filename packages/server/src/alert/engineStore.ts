import { randomUUID } from 'node:crypto';
import type pg from 'pg';
import type { DetectorState } from './anomalies.ts';
import type { Change, StoredState } from './evaluator.ts';
import type { Explanation } from './explanation.ts';
import type { Labels, Rule } from './judge.ts';
import type { ClientMinute, ModelMinute } from './series.ts';
import { dayMs, fiveMs, hourMs } from './timeline.ts';
import type { Totals } from './totals.ts';

/** Another server takes over when the holder was not heard of for so long. */
const defaultLeaseSeconds = 5;
/** A database that stands still must not hold connections of the pool for ever. */
const answerTimeoutMs = 5_000;
/** Rows of one reading: what lies beyond is the least busy. */
const mostRows = 5_000;
const mostPastRows = 50_000;

interface RuleRow {
  name: string;
  kind: string;
  condition: Record<string, unknown>;
  severity: 'warning' | 'critical';
  min_events: number;
  for_seconds: number;
  keep_firing_seconds: number;
  version: number;
}

interface TotalsRow extends Record<keyof TotalsColumns, number> {
  model_version: string;
  at_ms: number;
}
interface TotalsColumns {
  requests: number;
  errors: number;
  latency_sum_ms: number;
  p50_sum_ms: number;
  p95_sum_ms: number;
  p99_sum_ms: number;
  confidence_count: number;
  confidence_sum: number;
  confidence_sum_sq: number;
  quality_count: number;
  quality_sum: number;
  quality_sum_sq: number;
  tokens: number;
  cost_usd: number;
}

/** What somebody else watched before. */
interface Watch {
  readonly sinceMs: number;
  readonly untilMs: number;
}

/** The lease is not ours any more: another server judges now. */
export class LeaseLost extends Error {}

/** The engine's reads and writes: bounded figures from summaries in, alerts and states out. */
export class EngineStore {
  readonly #pool: pg.Pool;
  readonly #leaseSeconds: number;
  readonly #id = randomUUID();

  constructor(pool: pg.Pool, leaseSeconds = defaultLeaseSeconds) {
    this.#pool = pool;
    this.#leaseSeconds = leaseSeconds;
  }

  /** The watch that the last holder of the lease kept, if there was one. */
  watchBefore: Watch | undefined;

  /** Takes or keeps the lease. @returns whether it is ours */
  async hold(watchedSinceMs: number, nowMs: number): Promise<boolean> {
    const [row] = await this.#rows<{ held: boolean; since_ms: number | null; until_ms: number | null }>(
      `select held, extract(epoch from watched_since)::double precision * 1000 as since_ms,
        extract(epoch from looked_at)::double precision * 1000 as until_ms
       from nowcast.hold_engine($1, $2, $3, $4)`,
      [this.#id, this.#leaseSeconds, new Date(watchedSinceMs), new Date(nowMs)],
      'engine_lease',
    );
    const { held, since_ms: sinceMs, until_ms: untilMs } = row!;
    this.watchBefore = sinceMs === null || untilMs === null ? undefined : { sinceMs, untilMs };
    return held;
  }

  /** Gives the lease up, so that another server need not wait for its end. */
  async release(): Promise<void> {
    await this.#rows(`update nowcast.engine_lease set held_until = '-infinity' where holder = $1`, [
      this.#id,
    ]);
  }

  /** Rules that the engine judges; the latency check of single events lives in the database. */
  async rules(): Promise<Rule[]> {
    const rows = await this.#rows<RuleRow>(
      `select name, kind, condition, severity, min_events, for_seconds, keep_firing_seconds, version
       from public.alert_rules where enabled and kind <> 'event_latency' order by name`,
      [],
      'engine_rules',
    );
    return rows.map((row) => ({
      name: row.name,
      kind: row.kind,
      condition: row.condition,
      severity: row.severity,
      minEvents: row.min_events,
      forMs: row.for_seconds * 1000,
      keepFiringMs: row.keep_firing_seconds * 1000,
      version: row.version,
    }));
  }

  async states(nowMs: number): Promise<StoredState[]> {
    const rows = await this.#rows<{
      rule: string;
      labels: Labels;
      state: 'pending' | 'firing' | 'resolving' | 'resolved';
      since_ms: number;
      alert_id: number | null;
      flaps: number;
      detail: { breach_since_ms?: number; bad_since_ms?: number };
    }>(
      `select rule, labels, state, extract(epoch from since)::double precision * 1000 as since_ms, alert_id, flaps, detail
       from nowcast.alert_states`,
    );
    return rows.map(({ rule, labels, state, since_ms: sinceMs, alert_id: alertId, flaps, detail }) => ({
      rule,
      labels,
      state: { phase: state, sinceMs, judgedAtMs: nowMs, flaps, breachSinceMs: detail.breach_since_ms },
      alertId: alertId ?? undefined,
      badSinceMs: detail.bad_since_ms,
    }));
  }

  async detectors(): Promise<DetectorState[]> {
    return this.#rows<DetectorState>('select series, state from nowcast.detector_states');
  }

  /** Minutes of all models as they are now, the open one included. */
  async recentMinutes(sinceMs: number, untilMs: number): Promise<ModelMinute[]> {
    const rows = await this.#rows<TotalsRow>(
      'select * from nowcast.recent_totals($1, $2, $3)',
      [new Date(sinceMs), new Date(untilMs), mostRows],
      'engine_recent_totals',
    );
    return rows.map(modelMinute);
  }

  /** Closed buckets of the past, piece by piece: reading two weeks at once would hold everybody up. */
  async *past(nowMs: number): AsyncGenerator<{ tier: 300 | 3600; totals: ModelMinute[] }> {
    const read = async (tier: 300 | 3600, sinceMs: number, untilMs: number) => ({
      tier,
      totals: (
        await this.#rows<TotalsRow>('select * from nowcast.past_totals($1, $2, $3, $4)', [
          tier,
          new Date(sinceMs),
          new Date(untilMs),
          mostPastRows,
        ])
      ).map(modelMinute),
    });
    const openHourMs = Math.floor(nowMs / hourMs) * hourMs;
    for (let day = 14; day > 0; day--) {
      yield await read(3600, openHourMs - day * dayMs, openHourMs - (day - 1) * dayMs);
    }
    const openFiveMs = Math.floor(nowMs / fiveMs) * fiveMs;
    for (let hours = 24; hours >= 0; hours -= 5) {
      yield await read(
        300,
        openFiveMs - hours * hourMs,
        Math.min(openFiveMs, openFiveMs - (hours - 5) * hourMs),
      );
    }
  }

  async clients(bucketMs: number, sinceMs: number, untilMs: number): Promise<ClientMinute[]> {
    const rows = await this.#rows<{ sender: string; at_ms: number; requests: number }>(
      'select * from nowcast.sender_totals($1::interval, $2, $3, $4)',
      [`${bucketMs / 1000} seconds`, new Date(sinceMs), new Date(untilMs), mostPastRows],
      'engine_sender_totals',
    );
    return rows.map(({ sender, at_ms: atMs, requests }) => ({ client: sender, atMs, requests }));
  }

  /** Of these alerts, those that are not open any more. */
  async closedOf(alertIds: readonly number[]): Promise<ReadonlySet<number>> {
    if (alertIds.length === 0) return new Set();
    const rows = await this.#rows<{ id: number }>(
      `select w.id from unnest($1::integer[]) w (id)
       where not exists (select from public.system_alerts a where a.id = w.id and a.status = 'firing')`,
      [alertIds],
    );
    return new Set(rows.map(({ id }) => id));
  }

  /** Notes until when the conditions of open alerts were seen to hold. */
  async noteSeen(alertIds: readonly number[], nowMs: number): Promise<void> {
    if (alertIds.length === 0) return;
    await this.#rows(
      `update public.system_alerts set last_seen_at = $2 where id = any ($1::integer[]) and status = 'firing'`,
      [alertIds.slice(0, mostRows), new Date(nowMs)],
    );
  }

  /**
   * Writes alerts, their states and what detectors learnt in one transaction, which only the holder of the lease can
   * commit.
   *
   * @returns the ids of the alerts that were opened
   * @throws LeaseLost
   */
  async save(
    changes: readonly Change[],
    detectors: readonly DetectorState[],
    explanations: ReadonlyMap<Change, Explanation>,
  ): Promise<Map<Change, number>> {
    const opened = new Map<Change, number>();
    if (changes.length === 0 && detectors.length === 0) return opened;
    const client = await this.#pool.connect();
    let broken: Error | undefined;
    const rows = async <Row extends pg.QueryResultRow>(text: string, values: unknown[]) =>
      (await client.query<Row>(timed(text, values))).rows;
    try {
      await client.query(timed('begin'));
      const [lease] = await rows(
        'select from nowcast.engine_lease where holder = $1 and held_until > clock_timestamp() for update',
        [this.#id],
      );
      if (lease === undefined) throw new LeaseLost('another server judges the rules now');
      for (const change of changes) await apply(change, explanations.get(change), rows, opened);
      if (detectors.length > 0) {
        await rows(
          `insert into nowcast.detector_states (series, state)
           select d.series, d.state from jsonb_to_recordset($1) d (series text, state jsonb)
           on conflict (series) do update set state = excluded.state, updated_at = now()`,
          [JSON.stringify(detectors)],
        );
      }
      await client.query(timed('commit'));
    } catch (error) {
      broken = error as Error;
      // A connection whose transaction hangs is of no use; ending it rolls back.
      throw error;
    } finally {
      client.release(broken);
    }
    return opened;
  }

  async #rows<Row extends pg.QueryResultRow>(
    text: string,
    values: unknown[] = [],
    name?: string,
  ): Promise<Row[]> {
    return (await this.#pool.query<Row>({ ...timed(text, values), ...(name === undefined ? {} : { name }) }))
      .rows;
  }
}

function timed(text: string, values: unknown[] = []): pg.QueryConfig & { query_timeout: number } {
  return { text, values, query_timeout: answerTimeoutMs };
}

type Rows = <Row extends pg.QueryResultRow>(text: string, values: unknown[]) => Promise<Row[]>;

async function apply(
  change: Change,
  explanation: Explanation | undefined,
  rows: Rows,
  opened: Map<Change, number>,
): Promise<void> {
  const { rule, labels, state, effect, breach, settings } = change;
  let alertId = change.alertId ?? null;
  if (effect === 'open' && breach !== undefined && settings !== undefined) {
    const metadata = { ...labels, ...breach.figures, since: new Date(breach.sinceMs).toISOString() };
    const [row] = await rows<{ id: number | null }>(
      'select nowcast.open_alert($1, $2, $3, $4, $5, $6, $7) as id',
      [
        rule,
        labels,
        settings.severity,
        breach.alertType,
        breach.message,
        metadata,
        explanation === undefined ? null : JSON.stringify(explanation),
      ],
    );
    alertId = row!.id;
    if (alertId !== null) opened.set(change, alertId);
  } else if (effect === 'close' && alertId !== null) {
    await rows(`update public.system_alerts set status = 'resolved' where id = $1 and status = 'firing'`, [
      alertId,
    ]);
  }
  if (state.phase === 'inactive') {
    await rows('delete from nowcast.alert_states where rule = $1 and labels = $2', [rule, labels]);
    return;
  }
  await rows(
    `insert into nowcast.alert_states (rule, labels, state, since, alert_id, flaps, detail)
     values ($1, $2, $3, $4, $5, $6, $7)
     on conflict (rule, labels) do update set state = excluded.state, since = excluded.since,
       alert_id = excluded.alert_id, flaps = excluded.flaps, detail = excluded.detail`,
    [
      rule,
      labels,
      state.phase,
      new Date(state.sinceMs),
      state.phase === 'firing' || state.phase === 'resolving' ? alertId : null,
      state.flaps,
      { breach_since_ms: state.breachSinceMs, bad_since_ms: change.badSinceMs },
    ],
  );
}

function modelMinute(row: TotalsRow): ModelMinute {
  const totals: Totals = {
    requests: row.requests,
    errors: row.errors,
    latencySumMs: row.latency_sum_ms,
    p50SumMs: row.p50_sum_ms,
    p95SumMs: row.p95_sum_ms,
    p99SumMs: row.p99_sum_ms,
    confidenceCount: row.confidence_count,
    confidenceSum: row.confidence_sum,
    confidenceSumSq: row.confidence_sum_sq,
    qualityCount: row.quality_count,
    qualitySum: row.quality_sum,
    qualitySumSq: row.quality_sum_sq,
    tokens: row.tokens,
    costUsd: row.cost_usd,
  };
  return { model: row.model_version, atMs: row.at_ms, totals };
}
