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
  origin constant timestamptz := '2000-01-03 00:00:00+00';
  tier integer;
  first_bucket timestamptz;
begin
  if step_seconds < 60 or step_seconds % 60 <> 0 then
    raise exception 'step must be one or more whole minutes, got %', step using errcode = '22023';
  end if;
  if (until - since) > step * 50000 then
    raise exception 'metrics() answers at most 50,000 buckets a model: take a longer step' using errcode = '22023';
  end if;
  tier := case when step_seconds % 3600 = 0 then 3600 when step_seconds % 300 = 0 then 300 else 60 end;
  first_bucket := date_bin(step, since, origin);

  return query
  with buckets as (
    select b.minute as bucket, b.* from nowcast.model_figures(tier, first_bucket - interval '1 hour', until) b
    where metrics.feature is null and step_seconds = tier
      and (metrics.model_version is null or b.model_version = metrics.model_version)
    union all
    select m.minute as bucket, m.minute, m.model_version, m.request_count, m.error_count, m.latency_sum_ms,
      m.confidence_count, m.confidence_sum, m.quality_count, m.quality_sum, m.ttft_count, m.ttft_ms_sum,
      m.input_tokens_sum, m.output_tokens_sum, m.cached_input_tokens_sum, m.cost_count, m.cost_usd_sum,
      m.value_usd_sum, m.p50_latency_ms, m.p95_latency_ms, m.p99_latency_ms
    from nowcast.merged_buckets(step, tier, first_bucket - interval '1 hour', until,
      metrics.model_version, metrics.feature) m
    where metrics.feature is not null or step_seconds <> tier
  ),
  -- Running totals, and what they were before the first bucket of each window: one addition a bucket. Sums over the
  -- windows themselves, which PostgreSQL adds up anew for each bucket, took a third of the time.
  totals as (
    select b.*,
      sum(b.request_count::double precision) over up_to_here as requests,
      sum(b.error_count::double precision) over up_to_here as errors,
      sum(b.latency_sum_ms) over up_to_here as latency_ms
    from buckets b
    window up_to_here as (partition by b.model_version order by b.bucket rows unbounded preceding)
  ),
  rolled as (
    select t.*,
      t.requests - first_value(t.requests - t.request_count) over five_minutes as requests_5m,
      t.errors - first_value(t.errors - t.error_count) over five_minutes as errors_5m,
      t.latency_ms - first_value(t.latency_ms - t.latency_sum_ms) over five_minutes as latency_ms_5m,
      t.requests - first_value(t.requests - t.request_count) over one_hour as requests_1h,
      t.errors - first_value(t.errors - t.error_count) over one_hour as errors_1h,
      t.latency_ms - first_value(t.latency_ms - t.latency_sum_ms) over one_hour as latency_ms_1h
    from totals t
    window
      five_minutes as (partition by t.model_version order by t.bucket
        range between greatest(interval '5 minutes' - step, interval '0') preceding and current row),
      one_hour as (partition by t.model_version order by t.bucket
        range between greatest(interval '1 hour' - step, interval '0') preceding and current row)
  )
  select
    b.bucket, b.model_version, b.request_count, b.error_count,
    floor(10000.0::double precision * b.error_count / b.request_count + 0.5) / 100,
    b.latency_sum_ms / b.request_count,
    b.p50_latency_ms, b.p95_latency_ms, b.p99_latency_ms,
    b.confidence_sum / nullif(b.confidence_count, 0),
    b.quality_sum / nullif(b.quality_count, 0),
    b.ttft_ms_sum / nullif(b.ttft_count, 0),
    b.input_tokens_sum, b.output_tokens_sum, b.cached_input_tokens_sum,
    b.cost_usd_sum, b.cost_count, b.value_usd_sum,
    greatest(b.latency_ms_5m / b.requests_5m, 0),
    greatest(b.latency_ms_1h / b.requests_1h, 0),
    floor(10000 * b.errors_5m / b.requests_5m + 0.5) / 100,
    floor(10000 * b.errors_1h / b.requests_1h + 0.5) / 100
  from rolled b
  where b.bucket >= first_bucket
  order by b.bucket, b.model_version;
end
$$;
