-- Metrics in buckets of `step`, one row a bucket and model, for charts. Reads summaries only, the open minute
-- included, and the coarsest ones that divide the step. `feature` narrows to one feature (by the minute, so keep
-- its range to days). Steps are whole minutes; weeks start on Monday, everything is UTC.
-- The rolling averages end with the bucket's end; a step longer than their window stands for itself.
create or replace function public.metrics(
  since timestamptz default now() - interval '1 hour',
  until timestamptz default now(),
  step interval default interval '1 minute',
  model_version text default null,
  feature text default null
) returns setof nowcast.metrics_bucket
  language plpgsql stable as $$
#variable_conflict use_column
declare
  step_seconds constant integer := extract(epoch from step);
  first_bucket timestamptz;
  -- Buckets of this step are stored, and with them what rolling windows hold before them: a range of ready rows.
  stored constant boolean := feature is null and step_seconds in (60, 300, 900, 3600);
begin
  if step_seconds < 60 or step_seconds % 60 <> 0 then
    raise exception 'step must be one or more whole minutes, got %', step using errcode = '22023';
  end if;
  if (until - since) > step * 50000 then
    raise exception 'metrics() answers at most 50,000 buckets a model: take a longer step' using errcode = '22023';
  end if;
  first_bucket := date_bin(step, since, timestamptz '2000-01-03 00:00:00+00');

  return query
  with open_buckets as materialized (
    select o.* from nowcast.open_figures(step_seconds, first_bucket - interval '1 hour', until) o where stored
  ),
  -- Where what is not compacted yet begins. Mostly that is one bucket, the last one, and what was stored of it knows its
  -- windows. Otherwise they are added up anew from there on: they hold what the stored sums do not know yet.
  border as materialized (
    select b.minute,
      b.minute = b.last_minute
        and not exists (
          select from nowcast.bucket_figures f
          where f.tier_seconds = step_seconds and f.minute > b.minute and f.minute < until
        )
        and not exists (
          select from open_buckets o
          where o.model_version not in (
            select f.model_version from nowcast.bucket_figures f
            where f.tier_seconds = step_seconds and f.minute = b.minute
          )
        ) as is_last
    from (
      select coalesce(min(o.minute), 'infinity') as minute, coalesce(max(o.minute), 'infinity') as last_minute
      from open_buckets o
    ) b
  ),
  rolled as (
    select f.minute, f.model_version, f.request_count, f.error_count, f.latency_sum_ms, f.confidence_count,
      f.confidence_sum, f.quality_count, f.quality_sum, f.ttft_count, f.ttft_ms_sum, f.input_tokens_sum,
      f.output_tokens_sum, f.cached_input_tokens_sum, f.cost_count, f.cost_usd_sum, f.value_usd_sum,
      f.p50_latency_ms, f.p95_latency_ms, f.p99_latency_ms,
      (f.before_5m_requests + f.request_count)::double precision as requests_5m,
      (f.before_5m_errors + f.error_count)::double precision as errors_5m,
      f.before_5m_latency_ms + f.latency_sum_ms as latency_ms_5m,
      (f.before_1h_requests + f.request_count)::double precision as requests_1h,
      (f.before_1h_errors + f.error_count)::double precision as errors_1h,
      f.before_1h_latency_ms + f.latency_sum_ms as latency_ms_1h
    from nowcast.bucket_figures f
    where stored and f.tier_seconds = step_seconds and f.minute >= first_bucket and f.minute < until
      and f.minute <= (select b.minute from border b)
      and (f.minute < (select b.minute from border b)
        or (select b.is_last from border b) and f.model_version not in (select o.model_version from open_buckets o))
      and (metrics.model_version is null or f.model_version = metrics.model_version)
    union all
    select o.minute, o.model_version, o.request_count, o.error_count, o.latency_sum_ms, o.confidence_count,
      o.confidence_sum, o.quality_count, o.quality_sum, o.ttft_count, o.ttft_ms_sum, o.input_tokens_sum,
      o.output_tokens_sum, o.cached_input_tokens_sum, o.cost_count, o.cost_usd_sum, o.value_usd_sum,
      o.p50_latency_ms, o.p95_latency_ms, o.p99_latency_ms,
      f.before_5m_requests + o.request_count, f.before_5m_errors + o.error_count,
      f.before_5m_latency_ms + o.latency_sum_ms,
      f.before_1h_requests + o.request_count, f.before_1h_errors + o.error_count,
      f.before_1h_latency_ms + o.latency_sum_ms
    from open_buckets o join nowcast.bucket_figures f on f.model_version = o.model_version
    where (select b.is_last from border b)
      and f.tier_seconds = step_seconds and f.minute = (select b.minute from border b) and f.minute >= first_bucket
      and (metrics.model_version is null or f.model_version = metrics.model_version)
    union all
    select r.*
    from nowcast.rolled_figures(
      step, case when stored then greatest(first_bucket, (select b.minute from border b)) else first_bucket end, until,
      metrics.model_version, metrics.feature) r
    where not stored or not (select b.is_last from border b)
  )
  select
    r.minute, r.model_version, r.request_count, r.error_count,
    floor(10000.0::double precision * r.error_count / r.request_count + 0.5) / 100,
    r.latency_sum_ms / r.request_count,
    r.p50_latency_ms, r.p95_latency_ms, r.p99_latency_ms,
    r.confidence_sum / nullif(r.confidence_count, 0),
    r.quality_sum / nullif(r.quality_count, 0),
    r.ttft_ms_sum / nullif(r.ttft_count, 0),
    r.input_tokens_sum, r.output_tokens_sum, r.cached_input_tokens_sum,
    r.cost_usd_sum, r.cost_count, r.value_usd_sum,
    greatest(r.latency_ms_5m / r.requests_5m, 0),
    greatest(r.latency_ms_1h / r.requests_1h, 0),
    floor(10000 * r.errors_5m / r.requests_5m + 0.5) / 100,
    floor(10000 * r.errors_1h / r.requests_1h + 0.5) / 100
  from rolled r
  order by r.minute, r.model_version;
end
$$;
