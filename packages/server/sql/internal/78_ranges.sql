-- What a range of time holds by model, whether the compactor has taken it yet or not: what closing a period reads.

drop function if exists nowcast.range_buckets(timestamptz, timestamptz);

do $build$
declare
  content constant text := nowcast.summary_columns();
begin
  -- What covers a range exactly: whole hours, and five minutes at its edges, since not every zone's midnight is a full
  -- hour of UTC. What the compactor has not taken yet comes as further rows, without quantiles, of the buckets that it
  -- will go to: compacting an hour to read it once costs three times as much as merging it.
  execute format($function$
    create or replace function nowcast.range_parts(since timestamptz, until timestamptz)
      returns setof nowcast.model_summaries language sql stable as $body$
      with hours as (
        select date_bin('1 hour', since + interval '59 minutes 59.999999 seconds', origin) as first,
          date_bin('1 hour', until, origin) as past
        from (values (timestamptz '2000-01-01 00:00:00+00')) o (origin)
      )
      select s.* from nowcast.model_summaries s
      where s.tier_seconds = 3600 and s.minute >= (select first from hours) and s.minute < (select past from hours)
      union all
      select s.* from nowcast.model_summaries s
      where s.tier_seconds = 300 and s.minute >= since and s.minute < least((select first from hours), until)
      union all
      select s.* from nowcast.model_summaries s
      where s.tier_seconds = 300 and s.minute >= greatest((select past from hours), since) and s.minute < until
        and (select past from hours) >= (select first from hours)
      union all
      select t.tier_seconds, date_bin(make_interval(secs => t.tier_seconds), s.minute, origin), s.model_version, %1$s,
        null, null, null
      from nowcast.open_summaries s
      cross join (values (timestamptz '2000-01-01 00:00:00+00')) o (origin)
      cross join lateral (
        select case when s.minute >= (select first from hours) and s.minute < (select past from hours)
          then 3600 else 300 end
      ) t (tier_seconds)
      where s.minute < until
        and date_bin(make_interval(secs => t.tier_seconds), s.minute, origin) >= since
    $body$
  $function$, nowcast.summary_columns('s.'));
end
$build$;

-- Fingerprint of what a range holds, without its histograms: no event changes those alone. It says the same before and
-- after compaction: sums are taken to ten digits, since the order of addition differs.
create or replace function nowcast.range_state(since timestamptz, until timestamptz) returns numeric
  language sql stable set extra_float_digits = -5 set work_mem = '32MB' as $$
  select coalesce(sum(hashtextextended(b::text, 0)::numeric), 0)
  from (
    select p.tier_seconds, extract(epoch from p.minute), p.model_version, sum(p.request_count), sum(p.error_count),
      sum(p.latency_sum_ms), sum(p.latency_sum_sq), sum(p.latency_log_sum), min(p.latency_min_ms),
      max(p.latency_max_ms), sum(p.confidence_count), sum(p.confidence_sum), sum(p.confidence_sum_sq),
      sum(p.quality_count), sum(p.quality_sum), sum(p.quality_sum_sq), sum(p.feedback_count), sum(p.feedback_sum),
      sum(p.input_size_bytes_sum), sum(p.input_tokens_sum), sum(p.output_tokens_sum), sum(p.cached_input_tokens_sum),
      sum(p.cost_count), sum(p.cost_usd_sum), sum(p.value_usd_sum), sum(p.compute_ms_sum), sum(p.ttft_count),
      sum(p.ttft_ms_sum)
    from nowcast.range_parts(since, until) p group by p.tier_seconds, p.minute, p.model_version
  ) b
$$;

-- Whether closing must have what is open compacted first: where it is more than an hour of as many keys as a minute may
-- have, each day would read all of it, and where a minute may have more models than it is granted, only the compactor
-- says which of them stand for themselves.
create or replace function nowcast.compacts_before_closing() returns boolean
  language sql stable as $$
  select (select count(*) from (select from nowcast.open_summaries limit 60 * nowcast.max_minute_keys() + 1) o)
      > 60 * nowcast.max_minute_keys()
    or exists (
      select from (
        select minute, model_version from nowcast.summary_partials
        union
        select m.minute, m.model_version from nowcast.model_summaries m
        where m.tier_seconds = 60 and m.minute in (select p.minute from nowcast.summary_partials p)
      ) k group by k.minute having count(*) > nowcast.max_minute_models()
    )
$$;
