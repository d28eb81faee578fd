import type pg from 'pg';
import type { ModelWeek, Week } from './weeklyDigest.ts';

/**
 * The closed days of a week from Monday, and the alerts that began in it.
 *
 * @param monday `YYYY-MM-DD`
 * @param zone whose midnights bound the week
 */
export async function readWeek(pool: pg.Pool, monday: string, zone: string): Promise<Week> {
  const { rows: models } = await pool.query<ModelWeek>(
    `select model_version as model, days, total_requests::float8 as requests,
       requests_change_pct as "requestsChangePct", requests_change_margin_pct as "requestsChangeMarginPct",
       avg_latency_ms as "avgLatencyMs", p95_latency_ms as "p95LatencyMs",
       avg_latency_change_pct as "avgLatencyChangePct", avg_latency_change_margin_pct as "avgLatencyChangeMarginPct",
       error_rate_pct as "errorRatePct", error_rate_change_points as "errorRateChangePoints",
       error_rate_change_margin_points as "errorRateChangeMarginPoints",
       cost_usd as "costUsd", cost_change_pct as "costChangePct", avg_quality as quality
     from weekly_metrics_trend where period_start = $1::date`,
    [monday],
  );
  const { rows: alerts } = await pool.query<{ critical: number; warnings: number }>(
    `select count(*) filter (where severity = 'critical')::integer as critical,
       count(*) filter (where severity = 'warning')::integer as warnings
     from system_alerts
     where timestamp >= nowcast.day_start($1::date, $2) and timestamp < nowcast.day_start($1::date + 7, $2)`,
    [monday, zone],
  );
  return { monday, models, criticalAlerts: alerts[0]!.critical, warnings: alerts[0]!.warnings };
}

/** The Monday of the last week that is over on a day, `YYYY-MM-DD`. */
export function lastMonday(today: string): string {
  const date = new Date(`${today}T00:00:00Z`);
  const sinceMonday = (date.getUTCDay() + 6) % 7;
  date.setUTCDate(date.getUTCDate() - sinceMonday - 7);
  return date.toISOString().slice(0, 10);
}
