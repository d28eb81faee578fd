-- How many events there were of a kind that summaries do not know, such as a user's, counted from the rows: the number,
-- its 95 % interval, and the rows that it rests on. Where all events are kept, the three are one number. Null asks for
-- every value. What summaries do know, metrics() and cost_report() count exactly, whatever share is kept.
create or replace function public.estimate_events(
  since timestamptz default now() - interval '1 hour',
  until timestamptz default now(),
  model_version text default null,
  feature text default null,
  user_id text default null,
  prediction_class text default null,
  is_error boolean default null
) returns table (events double precision, low double precision, high double precision, kept_rows bigint)
  language sql stable as $$
  with matched as (
    select coalesce(l.trace_id, l.id::text) as draw, coalesce(l.sample_weight, 1) as weight
    from public.inference_logs l
    where l.timestamp >= estimate_events.since and l.timestamp < estimate_events.until
      and (estimate_events.model_version is null or l.model_version = estimate_events.model_version)
      and (estimate_events.feature is null or l.feature = estimate_events.feature)
      and (estimate_events.user_id is null or l.user_id = estimate_events.user_id)
      and (estimate_events.prediction_class is null or l.prediction_class = estimate_events.prediction_class)
      and (estimate_events.is_error is null or l.is_error = estimate_events.is_error)
  ),
  draws as (
    select count(*) as kept, count(*) filter (where m.weight > 1) as kept_of_more,
      coalesce(sum(m.weight) filter (where m.weight <= 1), 0) as certain,
      coalesce(sum(m.weight) filter (where m.weight > 1), 0) as estimated,
      max(m.weight) as weight
    from matched m group by m.draw
  ),
  totals as (
    select coalesce(sum(d.kept), 0)::bigint as kept, coalesce(sum(d.kept_of_more), 0)::double precision as kept_of_more,
      coalesce(sum(d.certain), 0) as certain, coalesce(sum(d.estimated), 0) as estimated,
      coalesce(sum((1 - 1 / d.weight) * d.estimated ^ 2), 0) as variance
    from draws d
  )
  select t.certain + t.estimated, i.low, i.high, t.kept
  from totals t,
    nowcast.sampling_interval(t.certain, t.estimated, t.kept_of_more, t.variance,
      case when t.estimated = 0 then (
        select max(l.sample_weight) from public.inference_logs l
        where l.timestamp >= estimate_events.since and l.timestamp < estimate_events.until
      ) end) i
$$;
