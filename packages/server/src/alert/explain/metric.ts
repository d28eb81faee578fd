import type { MetricName } from '../explanation.ts';
import type { Measure } from './attribution.ts';

interface Metric {
  readonly unit: string;
  readonly kind: Measure['kind'];
  /** Of a summary: how many, the sum, and the sum of squares of what is measured. */
  readonly summary: readonly [n: string, sum: string, sumSq: string];
  /** Of a row `e`; null where the event says nothing. `limits` are of latency alone. */
  readonly row: string;
}

/** Sums of tokens and money come without squares: taken as spread like an exponential distribution. */
const spread = (sum: string, n: string) => `2 * (${sum})::double precision ^ 2 / nullif(${n}, 0)`;
const tokens = 'coalesce(s.input_tokens_sum, 0) + coalesce(s.output_tokens_sum, 0)';

export const metrics: Readonly<Record<MetricName, Metric>> = {
  error_rate: {
    unit: '%',
    kind: 'rate',
    summary: ['s.request_count', 's.error_count', 's.error_count'],
    row: 'coalesce(e.is_error, false)::int',
  },
  // A call is slow when it takes longer than 95 % of the calls of its model, feature and variant took before: what is
  // usual for one is an incident for another. See latency.ts.
  latency: {
    unit: 'ms',
    kind: 'rate',
    summary: ['s.request_count', 'null', 'null'],
    row: `(width_bucket(e.inference_time_ms, nowcast.latency_edges()) > limits.bin)::int`,
  },
  confidence: {
    unit: '',
    kind: 'mean',
    summary: ['s.confidence_count', 's.confidence_sum', 's.confidence_sum_sq'],
    row: 'e.confidence_score',
  },
  quality: {
    unit: '',
    kind: 'mean',
    summary: ['s.quality_count', 's.quality_sum', 's.quality_sum_sq'],
    row: 'e.quality_score',
  },
  tokens: {
    unit: 'tokens/request',
    kind: 'mean',
    summary: ['s.request_count', tokens, spread(tokens, 's.request_count')],
    row: 'coalesce(e.input_tokens, 0) + coalesce(e.output_tokens, 0)',
  },
  traffic: {
    unit: 'requests/min',
    kind: 'volume',
    summary: ['s.request_count', 's.request_count', 's.request_count'],
    row: '1',
  },
  cost: {
    unit: 'USD/h',
    kind: 'volume',
    summary: ['s.cost_count', 's.cost_usd_sum', spread('s.cost_usd_sum', 's.cost_count')],
    row: 'e.cost_usd',
  },
};

/** Summaries of $1 minutes, of the model $2 and the feature $3 where these are given, current at this moment. */
export const summarySource = ['minute_summaries', 'open_summaries']
  .map(
    (relation) => `select s.* from nowcast.${relation} s
      where s.minute = any ($1::timestamptz[]) and ($2::text is null or s.model_version = $2)
        and ($3::text is null or s.feature = $3)`,
  )
  .join(' union all ');
