-- The article's metrics of the last hour, one row a minute and model. A view over summaries, hence always current:
-- there is nothing to refresh.
create or replace view public.inference_metrics_hourly as
select
  b.minute,
  b.model_version,
  b.request_count,
  b.latency_sum_ms / b.request_count as avg_latency_ms,
  b.p95_latency_ms,
  b.confidence_sum / nullif(b.confidence_count, 0) as avg_confidence,
  b.error_count,
  round(100.0 * b.error_count / b.request_count, 2) as error_rate_pct
from nowcast.model_figures(60, now() - interval '1 hour', 'infinity') b
where b.minute > now() - interval '1 hour'
order by b.minute desc;
