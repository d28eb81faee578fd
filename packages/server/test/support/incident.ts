import type { IncidentNews } from '../../src/alert/message/incident.ts';

/** An incident as a bad release makes it. `said` stands wherever events have the word. */
export function incidentNews(change: Partial<IncidentNews> & { said?: string } = {}): IncidentNews {
  const { said = 'timeout calling the model', ...more } = change;
  const since = '2026-03-01T02:11:05.000Z';
  return {
    id: '7',
    openedAt: new Date('2026-03-01T02:11:12Z'),
    closedAt: null,
    severity: 'critical',
    title: '31 % of requests of v2 fail',
    models: ['v2'],
    rules: ['error_failure'],
    alertCount: 2,
    openCount: 2,
    acknowledged: false,
    acknowledgedBy: null,
    silenced: false,
    repeatIntervalMs: 3_600_000,
    alerts: [
      {
        id: 1,
        rule: 'error_failure',
        ruleKind: 'error_failure',
        alertType: 'error_rate',
        severity: 'critical',
        message: '31 % of requests of v2 fail',
        labels: { model_version: 'v2' },
        timestamp: new Date(since),
        status: 'firing',
        explanation: {
          sentence: 'The error rate of v2 rose from 1.1 % to 31 % at 02:11 UTC.',
          metric: 'error_rate',
          unit: '%',
          value: 31,
          baseline: 1.1,
          since,
          baseline_since: '2026-03-01T01:11:05.000Z',
          baseline_until: since,
          causes: [
            {
              dimension: 'feature',
              value: 'summary',
              share: 0.94,
              sentence: 'Feature summary has 94 % of it.',
            },
          ],
          cause_sentence: 'Feature summary has 94 % of the new errors and 20 % of the requests.',
          examples: [1, 2, 3].map((id) => ({
            id: String(id),
            timestamp: since,
            model_version: 'v2',
            inference_time_ms: 5_012,
            is_error: true,
            error_message: said,
            trace_id: `trace-${id}`,
            feature: 'summary',
            user_id: said.slice(0, 60),
          })),
          deployed: [{ what: 'feature', value: 'summary', first_seen_at: '2026-03-01T02:05:00.000Z' }],
          data_age_seconds: 1.2,
        },
      },
      {
        id: 2,
        rule: 'latency_p95',
        ruleKind: 'latency',
        alertType: 'high_latency',
        severity: 'warning',
        message: 'The p95 latency of v2 is 5.0 s instead of 0.8 s',
        labels: { model_version: 'v2' },
        timestamp: new Date('2026-03-01T02:11:20Z'),
        status: 'firing',
        explanation: null,
      },
    ],
    ...more,
  };
}
