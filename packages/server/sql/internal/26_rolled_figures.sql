-- Figures in buckets of any step of whole minutes with what their rolling windows hold, added up here: for steps that are
-- not stored, for one feature, and for buckets behind one to which something was added that the compactor has not taken yet.
create or replace function nowcast.rolled_figures(
  step interval, first_bucket timestamptz, until timestamptz, model text, only_feature text
) returns setof nowcast.rolled_figures
  language plpgsql stable as $$
#variable_conflict use_column
declare
  -- From a bucket back to what lies before the windows that end with it.
  past_5m constant interval := greatest(interval '5 minutes' - step, interval '0') + interval '1 microsecond';
  past_1h constant interval := greatest(interval '1 hour' - step, interval '0') + interval '1 microsecond';
begin
  return query
  with figures as materialized (
    select f.* from nowcast.stepped_figures(step, first_bucket - interval '1 hour', until, model, only_feature) f
  ),
  -- Running totals: what a window holds is their difference between its ends, which binary search finds. Windows of
  -- PostgreSQL that end at a distance in time took twice as long: they carry whole rows along.
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
  )
  select f.*,
    s.requests[p.here] - coalesce(s.requests[p.before_5m], 0),
    s.errors[p.here] - coalesce(s.errors[p.before_5m], 0),
    s.latency_ms[p.here] - coalesce(s.latency_ms[p.before_5m], 0),
    s.requests[p.here] - coalesce(s.requests[p.before_1h], 0),
    s.errors[p.here] - coalesce(s.errors[p.before_1h], 0),
    s.latency_ms[p.here] - coalesce(s.latency_ms[p.before_1h], 0)
  from figures f join series s using (model_version)
  cross join lateral (
    select width_bucket(f.minute, s.minutes) as here,
      width_bucket(f.minute - past_5m, s.minutes) as before_5m,
      width_bucket(f.minute - past_1h, s.minutes) as before_1h
    offset 0
  ) p
  where f.minute >= first_bucket;
end
$$;
