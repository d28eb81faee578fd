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
  -- From a bucket back to what lies before the windows that end with it.
  past_5m constant interval := greatest(interval '5 minutes' - step, interval '0') + interval '1 microsecond';
  past_1h constant interval := greatest(interval '1 hour' - step, interval '0') + interval '1 microsecond';
  first_bucket timestamptz;
begin
  if step_seconds < 60 or step_seconds % 60 <> 0 then
    raise exception 'step must be one or more whole minutes, got %', step using errcode = '22023';
  end if;
  if (until - since) > step * 50000 then
    raise exception 'metrics() answers at most 50,000 buckets a model: take a longer step' using errcode = '22023';
  end if;
  first_bucket := date_bin(step, since, origin);

  return query
  with figures as materialized (
    select f.* from nowcast.stepped_figures(step, first_bucket - interval '1 hour', until,
      metrics.model_version, metrics.feature) f
  ),
  -- Running totals: what a window holds is their difference between its ends, which binary search finds. Windows of
  -- PostgreSQL that end at a distance in time took twice as long for all of metrics(): they carry whole rows along.
  totals as (
    select f.minute, f.model_version,
      sum(f.request_count::double precision) over up_to_here as requests,
      sum(f.error_count::double precision) over up_to_here as errors,
      sum(f.latency_sum_ms) over up_to_here as latency_ms
    from figures f
    window up_to_here as (partition by f.model_version order by f.minute rows unbounded preceding)
  ),
  series as (
    select t.model_version,
      array_agg(t.minute order by t.minute) as minutes, array_agg(t.requests order by t.minute) as requests,
      array_agg(t.errors order by t.minute) as errors, array_agg(t.latency_ms order by t.minute) as latency_ms
    from totals t
    group by t.model_version
  ),
  rolled as (
    select f.*,
      s.requests[p.here] - coalesce(s.requests[p.before_5m], 0) as requests_5m,
      s.errors[p.here] - coalesce(s.errors[p.before_5m], 0) as errors_5m,
      s.latency_ms[p.here] - coalesce(s.latency_ms[p.before_5m], 0) as latency_ms_5m,
      s.requests[p.here] - coalesce(s.requests[p.before_1h], 0) as requests_1h,
      s.errors[p.here] - coalesce(s.errors[p.before_1h], 0) as errors_1h,
      s.latency_ms[p.here] - coalesce(s.latency_ms[p.before_1h], 0) as latency_ms_1h
    from figures f join series s using (model_version)
    cross join lateral (
      select width_bucket(f.minute, s.minutes) as here,
        width_bucket(f.minute - past_5m, s.minutes) as before_5m,
        width_bucket(f.minute - past_1h, s.minutes) as before_1h
      offset 0
    ) p
    where f.minute >= first_bucket
  )
  select
    f.minute, f.model_version, f.request_count, f.error_count,
    floor(10000.0::double precision * f.error_count / f.request_count + 0.5) / 100,
    f.latency_sum_ms / f.request_count,
    f.p50_latency_ms, f.p95_latency_ms, f.p99_latency_ms,
    f.confidence_sum / nullif(f.confidence_count, 0),
    f.quality_sum / nullif(f.quality_count, 0),
    f.ttft_ms_sum / nullif(f.ttft_count, 0),
    f.input_tokens_sum, f.output_tokens_sum, f.cached_input_tokens_sum,
    f.cost_usd_sum, f.cost_count, f.value_usd_sum,
    greatest(f.latency_ms_5m / f.requests_5m, 0),
    greatest(f.latency_ms_1h / f.requests_1h, 0),
    floor(10000 * f.errors_5m / f.requests_5m + 0.5) / 100,
    floor(10000 * f.errors_1h / f.requests_1h + 0.5) / 100
  from rolled f
  order by f.minute, f.model_version;
end
$$;
