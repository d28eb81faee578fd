-- What the calls cost, by model_version, feature, variant, user_id, provider or (UTC) day, the dearest first. Priced and
-- unpriced requests stand apart: an unpriced one is no free one. The range is widened to whole minutes. By model and by
-- day it reads the summaries of models, whole hours as such; by feature and variant those of minutes; by user and provider
-- the rows, which are kept for the hot days only, each by its weight: estimates where events are sampled.
create or replace function public.cost_report(
  since timestamptz default now() - interval '24 hours',
  until timestamptz default now(),
  group_by text default 'model_version'
) returns table (
  group_key text,
  cost_usd double precision,
  requests bigint,
  priced_requests bigint,
  unpriced_requests bigint,
  input_tokens bigint,
  output_tokens bigint
)
  language plpgsql stable as $$
#variable_conflict use_column
declare
  origin constant timestamptz := '2000-01-01 00:00:00+00';
  first_minute constant timestamptz := date_bin('1 minute', since, origin);
  end_minute constant timestamptz := date_bin('1 minute', until + interval '59.999999 seconds', origin);
  -- Between them lie whole hours, if any.
  first_hour constant timestamptz := least(date_bin('1 hour', first_minute + interval '59 minutes', origin), end_minute);
  end_hour constant timestamptz := greatest(date_bin('1 hour', end_minute, origin), first_hour);
begin
  if group_by in ('model_version', 'day') then
    return query
    with figures as (
      select f.minute, f.model_version, f.cost_usd_sum, f.request_count, f.cost_count, f.input_tokens_sum,
        f.output_tokens_sum
      from nowcast.model_figures(3600, first_hour, end_hour) f
      union all
      select f.minute, f.model_version, f.cost_usd_sum, f.request_count, f.cost_count, f.input_tokens_sum,
        f.output_tokens_sum
      from nowcast.model_figures(60, first_minute, first_hour) f
      union all
      select f.minute, f.model_version, f.cost_usd_sum, f.request_count, f.cost_count, f.input_tokens_sum,
        f.output_tokens_sum
      from nowcast.model_figures(60, end_hour, end_minute) f
    )
    select case group_by when 'day' then to_char(f.minute at time zone 'UTC', 'YYYY-MM-DD') else f.model_version end,
      sum(f.cost_usd_sum), sum(f.request_count)::bigint, sum(f.cost_count)::bigint,
      sum(f.request_count - f.cost_count)::bigint,
      sum(f.input_tokens_sum)::bigint, sum(f.output_tokens_sum)::bigint
    from figures f group by 1 order by 2 desc nulls last, 3 desc, 1;
  elsif group_by in ('feature', 'variant') then
    return query
    with minutes as (
      select s.feature, s.variant, s.cost_usd_sum, s.request_count, s.cost_count, s.input_tokens_sum,
        s.output_tokens_sum
      from nowcast.minute_summaries s where s.minute >= first_minute and s.minute < end_minute
      union all
      select p.feature, p.variant, p.cost_usd_sum, p.request_count, p.cost_count, p.input_tokens_sum,
        p.output_tokens_sum
      from nowcast.open_summaries p where p.minute >= first_minute and p.minute < end_minute
    )
    -- Absent keys are '' in summaries.
    select nullif(case group_by when 'feature' then m.feature else m.variant end, ''),
      sum(m.cost_usd_sum), sum(m.request_count)::bigint, sum(m.cost_count)::bigint,
      sum(m.request_count - m.cost_count)::bigint,
      sum(m.input_tokens_sum)::bigint, sum(m.output_tokens_sum)::bigint
    from minutes m group by 1 order by 2 desc nulls last, 3 desc, 1;
  elsif group_by in ('user_id', 'provider') then
    return query
    select case group_by when 'user_id' then l.user_id else l.provider end,
      sum(l.cost_usd * coalesce(l.sample_weight, 1)), round(sum(coalesce(l.sample_weight, 1)))::bigint,
      coalesce(round(sum(coalesce(l.sample_weight, 1)) filter (where l.cost_usd is not null)), 0)::bigint,
      coalesce(round(sum(coalesce(l.sample_weight, 1)) filter (where l.cost_usd is null)), 0)::bigint,
      round(sum(l.input_tokens * coalesce(l.sample_weight, 1)))::bigint,
      round(sum(l.output_tokens * coalesce(l.sample_weight, 1)))::bigint
    from public.inference_logs l where l.timestamp >= first_minute and l.timestamp < end_minute
    group by 1 order by 2 desc nulls last, 3 desc, 1;
  else
    raise exception 'group_by must be model_version, feature, variant, user_id, provider or day, got %', group_by
      using errcode = '22023';
  end if;
end
$$;
