import type { Pool, PoolClient } from 'pg';
import { type Attribution, attribute, type Dimension } from './explain/attribution.ts';
import { Bounded, type Bounds } from './explain/bounded.ts';
import { readCells } from './explain/cells.ts';
import { readDeployed } from './explain/deployed.ts';
import { readExamples } from './explain/examples.ts';
import { metrics } from './explain/metric.ts';
import { readRowDimensions } from './explain/rows.ts';
import { causeSentence, changeSentence, sentenceOf } from './explain/sentences.ts';
import { readDataAge, windowsOf } from './explain/windows.ts';

export type MetricName = 'error_rate' | 'latency' | 'confidence' | 'quality' | 'traffic' | 'tokens' | 'cost';

/** A change of a metric between two windows, of everything that carries the labels. */
export interface Question {
  readonly metric: MetricName;
  readonly labels: {
    readonly model_version?: string;
    readonly feature?: string;
    /** Only traffic is known by client. */
    readonly client?: string;
  };
  /** The incident: from the first bad moment on. */
  readonly since: Date;
  readonly until: Date;
  readonly baselineSince: Date;
  readonly baselineUntil: Date;
}

export interface Cause {
  readonly dimension: 'model_version' | 'feature' | 'variant' | 'user_id' | 'error_message' | 'client';
  readonly value: string;
  /** Of the change, from 0 to 1; more than 1 where others went the other way is cut to 1. */
  readonly share: number;
  readonly sentence: string;
}

export interface Example {
  readonly id: string;
  readonly timestamp: string;
  readonly model_version: string;
  readonly inference_time_ms: number;
  readonly is_error: boolean;
  readonly error_message: string | null;
  readonly trace_id: string | null;
  readonly feature: string | null;
  readonly user_id: string | null;
}

export interface Deployed {
  readonly what: 'model_version' | 'feature' | 'variant';
  readonly value: string;
  readonly first_seen_at: string;
}

/** What stands in `system_alerts.explanation`. Holds user ids and error texts: not for anon keys. */
export interface Explanation {
  /** What changed, by how much, since when, against which baseline. */
  readonly sentence: string;
  readonly metric: MetricName;
  /** Of `value` and `baseline`: %, ms (the p95), requests/min, tokens/request, USD/h; '' for scores from 0 to 1. */
  readonly unit: string;
  readonly value: number | null;
  readonly baseline: number | null;
  /** ISO times. */
  readonly since: string;
  readonly baseline_since: string;
  readonly baseline_until: string;
  /** Best first; empty when nothing explains most of the change. */
  readonly causes: readonly Cause[];
  /** Says so in words, also when nothing does. */
  readonly cause_sentence: string;
  readonly examples: readonly Example[];
  /** First seen within half an hour before the incident, or in it. */
  readonly deployed: readonly Deployed[];
  readonly data_age_seconds: number | null;
}

/**
 * What changed, and which value of which dimension explains most of it. Reads summaries, and samples of rows of both
 * windows. Bounded in time: a part that takes more than a second is left out, and `cause_sentence` says so. Inside a
 * transaction of the caller's it uses savepoints, so that nothing of it can break that transaction.
 *
 * @throws what the database throws when it is away; RangeError when a window ends before it begins
 */
export async function explain(
  db: Pool | PoolClient,
  question: Question,
  bounds?: Bounds,
): Promise<Explanation> {
  const windows = windowsOf(question);
  return await Bounded.use(db, bounds, async (bounded) => {
    const cells = await bounded.part('summaries', (query) => readCells(query, question, windows));
    const rows =
      cells && (await bounded.part('users', (query) => readRowDimensions(query, question, windows, cells)));
    const dimensions: Dimension[] = [...(cells?.dimensions ?? []), ...(rows ?? [])];
    const attributions = attribute(dimensions);
    const deployed = (await bounded.part('first seen', (query) => readDeployed(query, question))) ?? [];
    const examples =
      (await bounded.part('examples', (query) => readExamples(query, question, cells, attributions[0]))) ??
      [];
    const age = (await bounded.part('age', readDataAge)) ?? null;
    return {
      sentence: changeSentence(question, cells),
      metric: question.metric,
      unit: metrics[question.metric].unit,
      value: cells?.value ?? null,
      baseline: cells?.baseline ?? null,
      since: question.since.toISOString(),
      baseline_since: question.baselineSince.toISOString(),
      baseline_until: question.baselineUntil.toISOString(),
      causes: attributions.map((attribution) => causeOf(question, attribution, deployed)),
      cause_sentence: causeSentence(question, dimensions, attributions, deployed, bounded.leftOut),
      examples,
      deployed,
      data_age_seconds: age,
    };
  });
}

function causeOf(question: Question, attribution: Attribution, deployed: readonly Deployed[]): Cause {
  return {
    dimension: attribution.dimension,
    value: attribution.value,
    share: Math.round(Math.min(1, attribution.share) * 1000) / 1000,
    sentence: sentenceOf(question, attribution, deployed),
  };
}
