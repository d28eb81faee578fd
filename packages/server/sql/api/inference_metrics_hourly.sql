-- The article's metrics of the last hour, one row a minute and model. A view over summaries, hence always current:
-- there is nothing to refresh. It reads what nowcast.model_figures reads, with the divisions done already.
create or replace view public.inference_metrics_hourly as
with open_buckets as materialized (
  select * from nowcast.open_figures(60, now() - interval '1 hour', 'infinity')
)
select
  f.minute,
  f.model_version,
  f.request_count,
  f.avg_latency_ms,
  f.p95_latency_ms,
  f.avg_confidence,
  f.error_count,
  f.error_rate_pct
from nowcast.bucket_figures f
where f.tier_seconds = 60 and f.minute > now() - interval '1 hour'
  and (f.minute < (select coalesce(min(o.minute), 'infinity') from open_buckets o)
    or (f.minute, f.model_version) not in (select o.minute, o.model_version from open_buckets o))
union all
select
  o.minute,
  o.model_version,
  o.request_count,
  o.latency_sum_ms / o.request_count,
  o.p95_latency_ms,
  o.confidence_sum / nullif(o.confidence_count, 0),
  o.error_count,
  round(100.0 * o.error_count / o.request_count, 2)
from open_buckets o
where o.minute > now() - interval '1 hour'
order by minute desc;
