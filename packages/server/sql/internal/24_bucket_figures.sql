-- nowcast.bucket_figures follows nowcast.model_summaries, whoever writes those.

-- What the rolling windows of five minutes and of an hour hold before their last bucket, for each bucket that a change of
-- these minutes of these models reaches, themselves included. Added in the order of time, so that who adds again gets the
-- same to the last bit; nothing is ever taken away from a sum, since after a latency of 1e300 little would be left of it.
create or replace function nowcast.sums_before(tier integer, changed timestamptz[], models text[])
  returns table (
    minute timestamptz, model_version text, requests_5m bigint, errors_5m bigint, latency_ms_5m double precision,
    requests_1h bigint, errors_1h bigint, latency_ms_1h double precision
  )
  language sql stable as $$
  with reached as (
    select range_agg(tstzrange(c, c + interval '1 hour')) as buckets,
      range_agg(tstzrange(c - interval '1 hour', c + interval '1 hour')) as with_windows
    from unnest(changed) c
  ),
  figures as materialized (
    select s.minute, s.model_version, s.request_count, s.error_count, s.latency_sum_ms
    from unnest((select r.with_windows from reached r)) r (span)
    -- OFFSET 0 keeps it a range of the index for each span.
    cross join lateral (
      select m.minute, m.model_version, m.request_count, m.error_count, m.latency_sum_ms
      from nowcast.model_summaries m
      where m.tier_seconds = tier and m.minute >= lower(r.span) and m.minute < upper(r.span)
        and m.model_version = any (models)
      offset 0
    ) s
  ),
  -- A window is a slice of these. Windows of PostgreSQL read all of their rows again for each of them, since a sum of
  -- floating-point numbers cannot lose its first: ten times as long for the one new bucket of each model.
  series as (
    select f.model_version, array_agg(f.minute order by f.minute) as minutes,
      array_agg(f.request_count order by f.minute) as requests, array_agg(f.error_count order by f.minute) as errors,
      array_agg(f.latency_sum_ms order by f.minute) as latency_ms
    from figures f group by f.model_version
  )
  select f.minute, f.model_version, w.requests_5m, w.errors_5m, w.latency_ms_5m, w.requests_1h, w.errors_1h, w.latency_ms_1h
  from figures f
    join series s on s.model_version = f.model_version
    cross join lateral (
      select width_bucket(f.minute, s.minutes) - 1 as last,
        width_bucket(f.minute - interval '1 hour' + make_interval(secs => tier) - interval '1 microsecond', s.minutes) + 1
          as first_1h,
        width_bucket(f.minute - greatest(interval '5 minutes' - make_interval(secs => tier), interval '0')
          - interval '1 microsecond', s.minutes) + 1 as first_5m
      offset 0
    ) p
    cross join lateral (
      select coalesce(sum(i.requests) filter (where i.place >= p.first_5m), 0)::bigint as requests_5m,
        coalesce(sum(i.errors) filter (where i.place >= p.first_5m), 0)::bigint as errors_5m,
        coalesce(sum(i.latency_ms) filter (where i.place >= p.first_5m), 0) as latency_ms_5m,
        coalesce(sum(i.requests), 0)::bigint as requests_1h,
        coalesce(sum(i.errors), 0)::bigint as errors_1h,
        coalesce(sum(i.latency_ms), 0) as latency_ms_1h
      from (
        select u.requests, u.errors, u.latency_ms, u.place + p.first_1h - 1 as place
        from unnest(s.requests[p.first_1h:p.last], s.errors[p.first_1h:p.last], s.latency_ms[p.first_1h:p.last])
          with ordinality u (requests, errors, latency_ms, place)
      ) i
    ) w
  where f.minute <@ (select r.buckets from reached r)
$$;

-- Changed minutes are part of what later ones roll over. Mostly there is none later: the open minute is the last one.
create or replace function nowcast.renew_sums_before(tier integer, changed timestamptz[], models text[]) returns void
  language plpgsql as $$
begin
  if (select min(c) from unnest(changed) c)
      >= (select max(s.minute) from nowcast.model_summaries s where s.tier_seconds = tier) then
    return;
  end if;
  update nowcast.bucket_figures f set
    before_5m_requests = b.requests_5m, before_5m_errors = b.errors_5m, before_5m_latency_ms = b.latency_ms_5m,
    before_1h_requests = b.requests_1h, before_1h_errors = b.errors_1h, before_1h_latency_ms = b.latency_ms_1h
  from nowcast.sums_before(tier, changed, models) b
  where f.tier_seconds = tier and f.minute = b.minute and f.model_version = b.model_version
    and (f.before_5m_requests, f.before_5m_errors, f.before_5m_latency_ms,
        f.before_1h_requests, f.before_1h_errors, f.before_1h_latency_ms)
      is distinct from (b.requests_5m, b.errors_5m, b.latency_ms_5m, b.requests_1h, b.errors_1h, b.latency_ms_1h);
end
$$;

do $build$
declare
  figures constant text := 'request_count, error_count, latency_sum_ms, confidence_count, confidence_sum, quality_count,
    quality_sum, ttft_count, ttft_ms_sum, input_tokens_sum, output_tokens_sum, cached_input_tokens_sum, cost_count,
    cost_usd_sum, value_usd_sum, p50_latency_ms, p95_latency_ms, p99_latency_ms';
begin
  execute format($function$
    create or replace function nowcast.keep_bucket_figures() returns trigger
      language plpgsql security definer set search_path = pg_catalog, pg_temp as $body$
    begin
      if tg_op = 'DELETE' then
        delete from nowcast.bucket_figures f using old_rows o
          where f.tier_seconds = o.tier_seconds and f.minute = o.minute and f.model_version = o.model_version;
        perform nowcast.renew_sums_before(
            o.tier_seconds, array_agg(distinct o.minute), array_agg(distinct o.model_version))
          from old_rows o where o.tier_seconds < 3600 group by o.tier_seconds;
        return null;
      elsif tg_op = 'UPDATE' then
        insert into nowcast.bucket_figures (tier_seconds, minute, model_version, %1$s)
        select tier_seconds, minute, model_version, %1$s from new_rows
        on conflict (tier_seconds, minute, model_version) do update set (%1$s) = (%2$s);
      elsif exists (select from new_rows) then
        insert into nowcast.bucket_figures (
          tier_seconds, minute, model_version, before_5m_requests, before_5m_errors, before_5m_latency_ms,
          before_1h_requests, before_1h_errors, before_1h_latency_ms, %1$s
        )
        select tier_seconds, minute, model_version, coalesce(b.requests_5m, 0), coalesce(b.errors_5m, 0),
          coalesce(b.latency_ms_5m, 0), coalesce(b.requests_1h, 0), coalesce(b.errors_1h, 0),
          coalesce(b.latency_ms_1h, 0), %1$s
        from new_rows n left join (
          select t.tier_seconds, s.* from (
            select a.tier_seconds, array_agg(distinct a.minute) as minutes, array_agg(distinct a.model_version) as models
            from new_rows a where a.tier_seconds < 3600 group by a.tier_seconds
          ) t, nowcast.sums_before(t.tier_seconds, t.minutes, t.models) s
        ) b using (tier_seconds, minute, model_version)
        on conflict (tier_seconds, minute, model_version) do update set (%1$s) = (%2$s);
      end if;
      perform nowcast.renew_sums_before(
          n.tier_seconds, array_agg(distinct n.minute), array_agg(distinct n.model_version))
        from new_rows n where n.tier_seconds < 3600 group by n.tier_seconds;
      return null;
    end
    $body$
  $function$, figures, regexp_replace(figures, '(\w+)', 'excluded.\1', 'g'));
end
$build$;

create or replace trigger keep_figures_inserted after insert on nowcast.model_summaries
  referencing new table as new_rows for each statement execute function nowcast.keep_bucket_figures();
create or replace trigger keep_figures_updated after update on nowcast.model_summaries
  referencing new table as new_rows for each statement execute function nowcast.keep_bucket_figures();
create or replace trigger keep_figures_deleted after delete on nowcast.model_summaries
  referencing old table as old_rows for each statement execute function nowcast.keep_bucket_figures();
