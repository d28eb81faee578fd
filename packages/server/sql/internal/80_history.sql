-- The ladder above the hours: days, weeks and months by model, closed once and again only when what they hold changed.

select nowcast.add_summary_columns('nowcast.period_summaries');

-- The first moment of a day in a zone. Where clocks go over midnight, a day begins at the first of two midnights, or
-- after the gap.
create or replace function nowcast.day_start(day date, zone text) returns timestamptz
  language sql stable as $$
  select coalesce(min(t) filter (where (t at time zone zone)::date = day), max(t))
  from (select day::timestamp at time zone zone as midnight) m,
    lateral (values (midnight), (midnight - interval '30 minutes'), (midnight - interval '1 hour')) moments (t)
$$;

-- Serialises the closing of periods over all servers and commands.
create or replace function nowcast.history_lock() returns bigint
  language sql immutable parallel safe as $$ select 7021850139403::bigint $$;

-- Days up to one that are not closed, or hold something else than what they were closed with. Without `everything`
-- closed days are compared only from the oldest one on whose rows can still change. A day that began at the midnight
-- of another zone is closed anew as long as the buckets that its edges need are kept.
create or replace function nowcast.days_to_close(
  zone text, last_day date, first_day date default null, everything boolean default false
) returns setof date language sql stable rows 30 as $$
  with bounds as (
    select
      coalesce(first_day, least(
        (select (min(s.minute) at time zone zone)::date from nowcast.model_summaries s where s.tier_seconds = 3600),
        (select (min(s.minute) at time zone zone)::date from nowcast.open_summaries s),
        (select min(p.starts) from nowcast.periods p where p.kind = 'day'))) as first_day,
      last_day,
      coalesce((select min(d) from nowcast.partition_days() d) - 1, 'infinity') as first_changeable,
      coalesce((select t.until from nowcast.pruned_tiers t where t.tier = 'five_minutes'), '-infinity')
        as first_aligned
  ),
  days as (
    select d::date as day, p.state, p.zone as closed_zone, b.first_changeable, b.first_aligned,
      nowcast.day_start(d::date, days_to_close.zone) as since,
      nowcast.day_start(d::date + 1, days_to_close.zone) as until
    from bounds b, generate_series(b.first_day::timestamp, b.last_day::timestamp, interval '1 day') d
    left join nowcast.periods p on p.kind = 'day' and p.starts = d::date
  ),
  looked_at as (
    select d.* from days d
    where (d.state is null or d.closed_zone <> zone or everything or d.day >= d.first_changeable)
      -- A day whose edges were given up keeps the zone it was closed in.
      and (d.since >= d.first_aligned
        or date_bin('1 hour', d.since, timestamptz '2000-01-01 00:00:00+00') = d.since
          and date_bin('1 hour', d.until, timestamptz '2000-01-01 00:00:00+00') = d.until)
  )
  select l.day from looked_at l
  cross join lateral nowcast.range_state(l.since, l.until) now_state
  where coalesce(l.state, 0) <> now_state or (l.closed_zone <> zone and (l.state <> 0 or now_state <> 0))
  order by l.day
$$;

do $build$
declare
  content constant text := nowcast.summary_columns();
  s_content constant text := nowcast.summary_columns('s.');
begin
  -- Closes one day: its summaries, daily_metrics_summary, the ledger; its week and month are marked to follow. False
  -- when it is closed with this very content already. The content is read after its fingerprint, so what comes between
  -- makes the day differ again.
  execute format($function$
    create or replace function nowcast.close_day(day date, day_zone text) returns boolean
      language plpgsql set enable_sort = off set work_mem = '32MB' as $body$
    declare
      since constant timestamptz := nowcast.day_start(day, day_zone);
      until constant timestamptz := nowcast.day_start(day + 1, day_zone);
      closed nowcast.periods;
      now_state numeric;
    begin
      perform pg_advisory_xact_lock(nowcast.history_lock());
      now_state := nowcast.range_state(since, until);
      select p.* into closed from nowcast.periods p where p.kind = 'day' and p.starts = day;
      if closed.state = now_state and closed.zone = day_zone then
        return false;
      end if;
      delete from nowcast.period_summaries where kind = 'day' and starts = day;
      insert into nowcast.period_summaries (
        kind, starts, model_version, days, %1$s, p50_latency_ms, p95_latency_ms, p99_latency_ms
      )
      with parts as materialized (select s.model_version, %2$s from nowcast.range_parts(since, until) s)
      select 'day', day, m.model_version, 1, %1$s, q.quantiles[1], q.quantiles[2], q.quantiles[3]
      from (%3$s) m,
        nowcast.latency_quantiles(latency_bins, latency_bin_counts, array[0.5, 0.95, 0.99],
          latency_min_ms, latency_max_ms) q (quantiles);

      delete from public.daily_metrics_summary d where d.date = day and not exists (
        select from nowcast.period_summaries s
        where s.kind = 'day' and s.starts = day and s.model_version = d.model_version
      );
      insert into public.daily_metrics_summary as d (
        date, model_version, total_requests, avg_latency_ms, p50_latency_ms, p95_latency_ms, p99_latency_ms,
        avg_confidence, total_errors, error_rate_pct
      )
      select s.starts, s.model_version, s.request_count, s.latency_sum_ms / s.request_count, s.p50_latency_ms,
        s.p95_latency_ms, s.p99_latency_ms, s.confidence_sum / nullif(s.confidence_count, 0), s.error_count,
        round(100.0 * s.error_count / s.request_count, 2)
      from nowcast.period_summaries s where s.kind = 'day' and s.starts = day
      order by s.model_version
      on conflict (date, model_version) do update set
        total_requests = excluded.total_requests, avg_latency_ms = excluded.avg_latency_ms,
        p50_latency_ms = excluded.p50_latency_ms, p95_latency_ms = excluded.p95_latency_ms,
        p99_latency_ms = excluded.p99_latency_ms, avg_confidence = excluded.avg_confidence,
        total_errors = excluded.total_errors, error_rate_pct = excluded.error_rate_pct
      where d is distinct from excluded;

      insert into nowcast.periods as p (kind, starts, zone, state, closed_at, closings)
      values ('day', day, day_zone, now_state, now(), 1)
      on conflict (kind, starts) do update set
        zone = excluded.zone, state = excluded.state, closed_at = now(), closings = p.closings + 1;
      insert into nowcast.periods (kind, starts, zone)
      values ('week', date_trunc('week', day::timestamp)::date, day_zone),
        ('month', date_trunc('month', day::timestamp)::date, day_zone)
      on conflict (kind, starts) do update set state = null, zone = excluded.zone;
      return true;
    end
    $body$
  $function$, content, s_content, nowcast.merge_query('parts', 'model_version'));

  -- Adds the days of a marked week or month up. False when another one did it already.
  execute format($function$
    create or replace function nowcast.close_marked(period_kind text, first_day date) returns boolean
      language plpgsql set enable_sort = off as $body$
    declare
      past constant date := first_day + case period_kind when 'week' then interval '7 days' else interval '1 month' end;
    begin
      perform pg_advisory_xact_lock(nowcast.history_lock());
      if not exists (
        select from nowcast.periods p where p.kind = period_kind and p.starts = first_day and p.state is null
      ) then
        return false;
      end if;
      delete from nowcast.period_summaries where kind = period_kind and starts = first_day;
      insert into nowcast.period_summaries (
        kind, starts, model_version, %1$s, p50_latency_ms, p95_latency_ms, p99_latency_ms,
        days, daily_requests_variance, avg_latency_variance, error_rate_variance
      )
      with parts as materialized (
        select s.model_version, %2$s from nowcast.period_summaries s
        where s.kind = 'day' and s.starts >= first_day and s.starts < past
      ),
      merged as materialized (%3$s),
      -- The variance of a ratio of sums whose terms come in clusters (Cochran, Sampling Techniques, 3rd ed., 6.3):
      -- k / (k - 1) * sum (y - R n)^2 / (sum n)^2.
      spread as (
        select p.model_version, count(*)::integer as days,
          var_samp(p.request_count::double precision) / count(*) as requests,
          count(*) * sum((p.latency_sum_ms - m.latency_sum_ms / m.request_count * p.request_count) ^ 2)
            / nullif(count(*) - 1, 0) / min(m.request_count::double precision) ^ 2 as latency,
          count(*) * sum((p.error_count - m.error_count::double precision / m.request_count * p.request_count) ^ 2)
            / nullif(count(*) - 1, 0) / min(m.request_count::double precision) ^ 2 as error_rate
        from parts p join merged m using (model_version) group by p.model_version
      )
      select period_kind, first_day, model_version, %1$s, q.quantiles[1], q.quantiles[2], q.quantiles[3],
        spread.days, spread.requests, spread.latency, spread.error_rate
      from merged join spread using (model_version),
        nowcast.latency_quantiles(latency_bins, latency_bin_counts, array[0.5, 0.95, 0.99],
          latency_min_ms, latency_max_ms) q (quantiles);
      update nowcast.periods set closed_at = now(), closings = closings + 1,
        state = coalesce((
          select sum(d.state) from nowcast.periods d
          where d.kind = 'day' and d.starts >= first_day and d.starts < past
        ), 0)
      where kind = period_kind and starts = first_day;
      return true;
    end
    $body$
  $function$, content, s_content, nowcast.merge_query('parts', 'model_version'));

  -- The days of a range added up by model: from `since` to the day before `until`. Months inside it that hold their days
  -- as they are stand for them: of a year a dozen histograms a model are added up and not 365.
  execute format($function$
    create or replace function nowcast.merged_days(since date, until date)
      returns setof nowcast.summary_merges language sql stable set enable_sort = off as $body$
      with months as materialized (
        select p.starts from nowcast.periods p
        where p.kind = 'month' and p.state is not null and p.starts >= since and p.starts + interval '1 month' <= until
      ),
      parts as materialized (
        select s.model_version, %2$s from nowcast.period_summaries s
        where s.kind = 'month' and s.starts in (select m.starts from months m)
        union all
        select s.model_version, %2$s from nowcast.period_summaries s
        where s.kind = 'day' and s.starts >= since and s.starts < until
          and date_trunc('month', s.starts::timestamp)::date not in (select m.starts from months m)
      )
      select null::timestamptz, m.model_version, '', '', %1$s from (%3$s) m
    $body$
  $function$, content, s_content, nowcast.merge_query('parts', 'model_version'));
end
$build$;

-- Two-sided 95 % quantile of Student's distribution: a table to 10 degrees of freedom, then Cornish and Fisher's
-- expansion, which is right to three digits there (Abramowitz and Stegun, 26.7.5).
create or replace function nowcast.t_quantile(degrees integer) returns double precision
  language sql immutable parallel safe as $$
  select case
    when degrees < 1 then null
    when degrees <= 10 then
      ('{12.706,4.303,3.182,2.776,2.571,2.447,2.365,2.306,2.262,2.228}'::double precision[])[degrees]
    else 1.959964 + 2.372271 / degrees + 2.822502 / degrees ^ 2
  end
$$;

-- Half the width of the 95 % interval of a relative change in percent, by the delta method.
create or replace function nowcast.change_margin_pct(
  now_value double precision, now_variance double precision, now_days integer,
  old_value double precision, old_variance double precision, old_days integer
) returns double precision
  language sql immutable parallel safe as $$
  select 100 * nowcast.t_quantile(now_days + old_days - 2)
    * sqrt(now_variance + (now_value / nullif(old_value, 0)) ^ 2 * old_variance) / abs(nullif(old_value, 0))
$$;

-- Select-list text: the changes of a period `n` against another one, named with a suffix.
create or replace function nowcast.trend_columns(other text, suffix text) returns text
  language sql immutable as $outer$
  select format($columns$,
    100 * (n.requests_per_day / nullif(%1$s.requests_per_day, 0) - 1) as requests_change_pct%2$s,
    nowcast.change_margin_pct(n.requests_per_day, n.daily_requests_variance, n.days,
      %1$s.requests_per_day, %1$s.daily_requests_variance, %1$s.days) as requests_change_margin_pct%2$s,
    100 * (n.avg_latency_ms / nullif(%1$s.avg_latency_ms, 0) - 1) as avg_latency_change_pct%2$s,
    nowcast.change_margin_pct(n.avg_latency_ms, n.avg_latency_variance, n.days,
      %1$s.avg_latency_ms, %1$s.avg_latency_variance, %1$s.days) as avg_latency_change_margin_pct%2$s,
    100 * (n.p95_latency_ms / nullif(%1$s.p95_latency_ms, 0) - 1) as p95_latency_change_pct%2$s,
    100 * (n.error_rate - %1$s.error_rate) as error_rate_change_points%2$s,
    100 * nowcast.t_quantile(n.days + %1$s.days - 2) * sqrt(n.error_rate_variance + %1$s.error_rate_variance)
      as error_rate_change_margin_points%2$s,
    100 * (n.cost_usd_sum / nullif(%1$s.cost_usd_sum, 0) * %1$s.days / n.days - 1) as cost_change_pct%2$s
  $columns$, other, suffix)
$outer$;

-- Gives up minutes that are older than `minute_days` days of UTC, and 5 and 15 minutes after `five_minute_days`; one day
-- of each at a time, so that no transaction is long. Hours and what is above them stay. Returns the rows deleted.
create or replace function nowcast.prune_tiers(minute_days integer, five_minute_days integer) returns bigint
  language plpgsql as $$
declare
  midnight constant timestamptz := date_trunc('day', now(), 'UTC');
  doomed timestamptz;
  deleted bigint;
  total bigint := 0;
begin
  perform pg_advisory_xact_lock(nowcast.compaction_lock());
  select date_trunc('day', least(
      (select min(s.minute) from nowcast.minute_summaries s),
      (select min(s.minute) from nowcast.model_summaries s where s.tier_seconds = 60)), 'UTC') + interval '1 day'
    into doomed;
  if doomed <= midnight - make_interval(days => minute_days) then
    delete from nowcast.minute_summaries s where s.minute < doomed;
    get diagnostics total = row_count;
    delete from nowcast.model_summaries s where s.tier_seconds = 60 and s.minute < doomed;
    get diagnostics deleted = row_count;
    total := total + deleted;
    insert into nowcast.pruned_tiers as p values ('minutes', doomed)
      on conflict (tier) do update set until = greatest(p.until, excluded.until);
  end if;
  select date_trunc('day', min(s.minute), 'UTC') + interval '1 day' into doomed
    from nowcast.model_summaries s where s.tier_seconds = 300;
  if doomed <= midnight - make_interval(days => five_minute_days) then
    delete from nowcast.model_summaries s where s.tier_seconds in (300, 900) and s.minute < doomed;
    get diagnostics deleted = row_count;
    total := total + deleted;
    insert into nowcast.pruned_tiers as p values ('five_minutes', doomed)
      on conflict (tier) do update set until = greatest(p.until, excluded.until);
  end if;
  return total;
end
$$;

-- How many rows a table has, as its statistics say: a table that was never analyzed has counted its own inserts all the
-- same, and after a crash, which forgets those counts, what the last vacuum saw is left.
create or replace function nowcast.estimated_rows(relation regclass) returns bigint language sql stable as $$
  select coalesce(nullif(pg_stat_get_live_tuples(relation), 0), greatest(c.reltuples, 0)::bigint)
  from pg_class c where c.oid = relation
$$;

-- Tables of days: attached ones, and those that an interrupted retention left detached.
create or replace function nowcast.day_tables()
  returns table (day date, relation regclass, attached boolean, detaching boolean) language sql stable as $$
  select to_date(right(c.relname, 8), 'YYYYMMDD'), c.oid::regclass, i.inhrelid is not null and not i.inhdetachpending,
    coalesce(i.inhdetachpending, false)
  from pg_class c left join pg_inherits i on i.inhrelid = c.oid
  where c.relnamespace = 'nowcast'::regnamespace and c.relkind = 'r' and c.relname ~ '^inference_logs_\d{8}$'
  order by 1
$$;
