import type pg from 'pg';
import type { Channel, DeliveryError } from '../channels/channel.ts';
import { type IncidentNews, incidentOf, type StandingRow } from '../message/incident.ts';
import type { SingleNews } from '../message/single.ts';
import type { Severity, Step } from './plan.ts';

/** A delivery that is open: what a channel was told of an incident or of a single piece of news. */
export interface Delivery {
  readonly id: string;
  readonly channel: string;
  readonly incidentId: string | null;
  readonly single: SingleNews | null;
  readonly revision: number;
  readonly told: 'nothing' | 'firing' | 'resolved';
  readonly toldSeverity: Severity | null;
  readonly toldAlerts: number;
  readonly toldHash: string | null;
  readonly toldAtMs: number | null;
  readonly notifiedAtMs: number | null;
  readonly reference: Readonly<Record<string, unknown>> | null;
  readonly owes: Step | null;
  readonly outcomeUnknown: boolean;
  readonly dueAtMs: number;
  readonly claimedUntilMs: number | null;
  readonly refusedBy: string | null;
  readonly lastError: string | null;
}

export interface OpenNews {
  /** The database's clock. */
  readonly nowMs: number;
  readonly deliveries: readonly Delivery[];
  readonly incidents: ReadonlyMap<string, IncidentNews>;
  /** Until when a channel asked to be left alone, or had better be. */
  readonly pausedUntilMs: ReadonlyMap<string, number>;
}

/** Of one look: beyond, the oldest come first. */
const maxDeliveries = 2_000;

/** Makes what is missing and reads everything that may have to be told by these channels. */
export async function readOpenNews(pool: pg.Pool, channels: readonly Channel[]): Promise<OpenNews> {
  const names = channels.map(({ name }) => name);
  await pool.query('select nowcast.refresh_silenced()');
  await pool.query({
    name: 'spread_news',
    text: 'select nowcast.spread_news($1)',
    values: [
      JSON.stringify(
        channels.map(({ name, minSeverity, matchers }) => ({ name, min_severity: minSeverity, matchers })),
      ),
    ],
  });
  const { rows } = await pool.query<DeliveryRow>({
    name: 'open_deliveries',
    text: `select d.id, d.channel, d.incident_id, d.revision, d.told, d.told_severity, d.told_alerts, d.told_hash,
        d.told_at, d.notified_at, d.reference, d.owes, d.outcome_unknown, d.due_at, d.claimed_until, d.refused_by,
        d.last_error, c.paused_until, clock_timestamp() as now,
        case when o.id is not null then jsonb_build_object(
          'id', o.id::text, 'kind', o.kind, 'created_at', o.created_at, 'payload', o.payload) end as single
      from nowcast.alert_deliveries d
      join nowcast.alert_channel_states c on c.channel = d.channel
      left join nowcast.alert_outbox o on o.id = d.outbox_id
      where d.channel = any ($1) and not d.done
      order by d.told <> 'nothing', d.due_at, d.id limit ${maxDeliveries}`,
    values: [names],
  });
  const wanted = [...new Set(rows.flatMap(({ incident_id: id }) => (id === null ? [] : [id])))];
  const standings =
    wanted.length === 0
      ? []
      : (
          await pool.query<StandingRow>({
            name: 'incident_standing',
            text: 'select * from nowcast.incident_standing($1)',
            values: [wanted],
          })
        ).rows;
  return {
    nowMs: rows[0]?.now.getTime() ?? Date.now(),
    deliveries: rows.map(deliveryOf),
    incidents: new Map(standings.map((row) => [row.id, incidentOf(row)])),
    pausedUntilMs: new Map(
      rows.flatMap(({ channel, paused_until: until }) =>
        until === null ? [] : [[channel, until.getTime()]],
      ),
    ),
  };
}

export interface Claim {
  readonly revision: number;
  readonly attempts: number;
  readonly maybeDelivered: boolean;
}

/** Takes it in hand; undefined when another server was faster. */
export async function claim(
  pool: pg.Pool,
  { id, revision }: Delivery,
  step: Step,
  leaseMs: number,
): Promise<Claim | undefined> {
  const { rows } = await pool.query<{ revision: number; attempts: number; outcome_unknown: boolean }>({
    name: 'claim_delivery',
    text: `select * from nowcast.claim_delivery($1, $2, $3, $4 * interval '1 millisecond')`,
    values: [id, revision, step, leaseMs],
  });
  const [row] = rows;
  return row && { revision: row.revision, attempts: row.attempts, maybeDelivered: row.outcome_unknown };
}

export interface Outcome {
  readonly told: 'firing' | 'resolved';
  readonly severity: Severity | null;
  readonly alerts: number;
  readonly hash: string | null;
  readonly reference: Readonly<Record<string, unknown>> | undefined;
  readonly late: boolean;
  readonly done: boolean;
}

/** @returns false when the lease had ended and somebody else took over */
export async function recordDelivered(
  pool: pg.Pool,
  { id }: Delivery,
  { revision }: Claim,
  outcome: Outcome,
): Promise<boolean> {
  const { rows } = await pool.query<{ taken: boolean }>({
    name: 'delivered',
    text: 'select nowcast.delivered($1, $2, $3) as taken',
    values: [id, revision, JSON.stringify(outcome)],
  });
  return rows[0]!.taken;
}

export async function recordFailure(
  pool: pg.Pool,
  { id }: Delivery,
  { revision }: Claim,
  error: DeliveryError,
  { retryInMs, pauseMs, refusedBy }: { retryInMs: number; pauseMs: number; refusedBy: string | null },
): Promise<void> {
  await pool.query({
    name: 'not_delivered',
    text: `select nowcast.not_delivered($1, $2, $3, $4 * interval '1 millisecond', $5 * interval '1 millisecond', $6, $7)`,
    values: [id, revision, error.message, retryInMs, pauseMs, error.maybeDelivered, refusedBy],
  });
}

export async function giveUp(pool: pg.Pool, { id, revision }: Delivery, expired: boolean): Promise<void> {
  await pool.query({
    name: 'give_up_delivery',
    text: 'select nowcast.give_up_delivery($1, $2, $3)',
    values: [id, revision, expired],
  });
}

interface DeliveryRow {
  readonly id: string;
  readonly channel: string;
  readonly incident_id: string | null;
  readonly revision: number;
  readonly told: Delivery['told'];
  readonly told_severity: Severity | null;
  readonly told_alerts: number;
  readonly told_hash: string | null;
  readonly told_at: Date | null;
  readonly notified_at: Date | null;
  readonly reference: Readonly<Record<string, unknown>> | null;
  readonly owes: Step | null;
  readonly outcome_unknown: boolean;
  readonly due_at: Date;
  readonly claimed_until: Date | null;
  readonly refused_by: string | null;
  readonly last_error: string | null;
  readonly paused_until: Date | null;
  readonly now: Date;
  readonly single: {
    readonly id: string;
    readonly kind: string;
    readonly created_at: string;
    readonly payload: Readonly<Record<string, unknown>>;
  } | null;
}

function deliveryOf(row: DeliveryRow): Delivery {
  const { single } = row;
  return {
    id: row.id,
    channel: row.channel,
    incidentId: row.incident_id,
    single:
      single === null
        ? null
        : {
            id: single.id,
            kind: single.kind,
            createdAt: new Date(single.created_at),
            payload: single.payload,
          },
    revision: row.revision,
    told: row.told,
    toldSeverity: row.told_severity,
    toldAlerts: row.told_alerts,
    toldHash: row.told_hash,
    toldAtMs: row.told_at?.getTime() ?? null,
    notifiedAtMs: row.notified_at?.getTime() ?? null,
    reference: row.reference,
    owes: row.owes,
    outcomeUnknown: row.outcome_unknown || row.claimed_until !== null,
    dueAtMs: row.due_at.getTime(),
    claimedUntilMs: row.claimed_until?.getTime() ?? null,
    refusedBy: row.refused_by,
    lastError: row.last_error,
  };
}
