import type pg from 'pg';
import { type PlantedIncident, plantedIncident } from './planted.ts';

interface Explanation {
  readonly causes: readonly { readonly dimension: string; readonly value: string }[];
  readonly cause_sentence: string;
}

interface Question {
  readonly metric: PlantedIncident['metric'];
  readonly labels: Record<string, never>;
  readonly since: Date;
  readonly until: Date;
  readonly baselineSince: Date;
  readonly baselineUntil: Date;
}

export interface Told {
  readonly seed: number;
  readonly incident: PlantedIncident;
  readonly explanation: Explanation;
  /** The cause came first; where there is none, none was told. */
  readonly isRight: boolean;
  readonly ms: number;
}

const hourMs = 3_600_000;
/** Incident and baseline take an hour and a quarter. */
const slotMs = 1.5 * hourMs;

/** How many days of partitions so many incidents take. */
export const daysOf = (count: number) => Math.ceil((count * slotMs) / (24 * hourMs)) + 1;

/**
 * Writes incidents into a database, each at a time of its own, and asks for an explanation of each.
 *
 * @param explain as the server's
 */
export async function* tellAll(
  pool: pg.Pool,
  explain: (pool: pg.Pool, question: Question) => Promise<Explanation>,
  kinds: readonly { readonly seed: number; readonly isPlanted: boolean }[],
  nowMs: number,
): AsyncGenerator<Told> {
  for (const [index, { seed, isPlanted }] of kinds.entries()) {
    const incident = plantedIncident(seed, nowMs - index * slotMs, isPlanted);
    await pool.query(
      `insert into inference_logs (timestamp, model_version, feature, variant, user_id, inference_time_ms,
         confidence_score, is_error, error_message)
       select timestamp, model_version, feature, variant, user_id, inference_time_ms, confidence_score, is_error,
         error_message
       from json_populate_recordset(null::inference_logs, $1)`,
      [JSON.stringify(incident.events)],
    );
    await pool.query('select nowcast.compact()');
    const startedAt = performance.now();
    const explanation = await explain(pool, {
      metric: incident.metric,
      labels: {},
      since: new Date(incident.sinceMs),
      until: new Date(incident.untilMs),
      baselineSince: new Date(incident.baselineSinceMs),
      baselineUntil: new Date(incident.sinceMs),
    });
    const ms = performance.now() - startedAt;
    const first = explanation.causes[0];
    const isRight =
      incident.cause === undefined
        ? first === undefined
        : incident.right.some(
            ({ dimension, value }) =>
              first?.dimension === dimension &&
              (dimension === 'error_message' ? first.value.startsWith(value) : first.value === value),
          );
    yield { seed, incident, explanation, isRight, ms };
  }
}
