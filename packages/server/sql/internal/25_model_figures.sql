-- The figures of models by bucket, what is not compacted yet included: what every chart and the hourly view read.

-- Middle of each bin from the first, number 0, on: an array that the planner takes for a constant.
do $build$
begin
  execute format('create or replace function nowcast.latency_bin_middles() returns double precision[]
    language sql immutable parallel safe as $body$ select %L::double precision[] $body$',
    (select array_agg(nowcast.latency_bin_middle(bin) order by bin)
     from generate_series(0, cardinality(nowcast.latency_edges())) bin));
end
$build$;

drop function if exists nowcast.between_bins(smallint, smallint, double precision, double precision, double precision);

-- nowcast.latency_quantiles of a histogram (both arrays may be null) and of further bins, ascending, each with its count;
-- `total` is the sum of all counts.
create or replace function nowcast.quantiles_with(
  bins smallint[], counts bigint[], more_bins smallint[], more_counts bigint[], total bigint,
  fractions double precision[], min_ms double precision, max_ms double precision
) returns double precision[]
  language plpgsql immutable parallel safe as $$
declare
  -- Local copies are unpacked once; a parameter would be unpacked at each subscript.
  bin smallint[] := bins;
  n bigint[] := counts;
  more_bin smallint[] := more_bins;
  more_n bigint[] := more_counts;
  middles constant double precision[] := nowcast.latency_bin_middles();
  i integer := 1;
  j integer := 1;
  -- The next bin of each; beyond the last one a bin that is greater than all.
  next smallint := coalesce(bins[1], 32767);
  more_next smallint := coalesce(more_bins[1], 32767);
  current smallint;
  seen bigint := 0;
  fraction double precision;
  place double precision;
  rank bigint;
  low double precision;
  high double precision;
  result double precision[] := '{}';
begin
  foreach fraction in array fractions loop
    place := fraction * (total - 1);
    rank := floor(place);
    while seen <= rank loop
      if next < more_next then
        current := next;
        seen := seen + n[i];
        i := i + 1;
        next := coalesce(bin[i], 32767);
      else
        current := more_next;
        if next = more_next then
          seen := seen + n[i];
          i := i + 1;
          next := coalesce(bin[i], 32767);
        end if;
        while more_next = current loop
          seen := seen + more_n[j];
          j := j + 1;
          more_next := coalesce(more_bin[j], 32767);
        end loop;
      end if;
    end loop;
    low := middles[current + 1];
    high := low;
    if seen <= rank + 1 and least(next, more_next) < 32767 then
      high := middles[least(next, more_next) + 1];
    end if;
    low := least(greatest(low, min_ms), max_ms);
    high := least(greatest(high, min_ms), max_ms);
    result := result || (low + (high - low) * (place - rank));
  end loop;
  return result;
end
$$;

-- The buckets to which something was added that the compactor has not taken yet: their figures with it. Quantiles of a
-- minute that one writer alone has written come from its newest partial (see summary_partials.running); of others, from
-- the histograms. A function of its own, because its plan costs more than its run: PL/pgSQL keeps it. Nested loops are
-- off, since the planner takes tables that are filled and emptied each second for empty; what must look rows up by key is
-- lateral, and OFFSET 0 keeps it so.
create or replace function nowcast.open_figures(tier integer, since timestamptz, until timestamptz)
  returns setof nowcast.model_figures
  language plpgsql stable set enable_nestloop = off as $$
#variable_conflict use_column
begin
  return query
  with pending as not materialized (
    select date_bin(make_interval(secs => tier), s.minute, timestamptz '2000-01-01 00:00:00+00') as minute,
      s.model_version, s.request_count, s.error_count, s.latency_sum_ms, s.confidence_count,
      s.confidence_sum, s.quality_count, s.quality_sum, s.ttft_count, s.ttft_ms_sum, s.input_tokens_sum,
      s.output_tokens_sum, s.cached_input_tokens_sum, s.cost_count, s.cost_usd_sum, s.value_usd_sum,
      s.latency_min_ms, s.latency_max_ms, s.latency_bins, s.latency_bin_counts, s.running
    from nowcast.summary_partials s where s.minute >= since and s.minute < until
    union all
    select date_bin(make_interval(secs => tier), s.minute, timestamptz '2000-01-01 00:00:00+00') as minute,
      s.model_version, s.request_count, s.error_count, s.latency_sum_ms, s.confidence_count,
      s.confidence_sum, s.quality_count, s.quality_sum, s.ttft_count, s.ttft_ms_sum, s.input_tokens_sum,
      s.output_tokens_sum, s.cached_input_tokens_sum, s.cost_count, s.cost_usd_sum, s.value_usd_sum,
      s.latency_min_ms, s.latency_max_ms, s.latency_bins, s.latency_bin_counts, null
    from nowcast.summary_merges s where tier <> 60 and s.minute >= since and s.minute < until
  ),
  added as (
    select p.minute, p.model_version,
      sum(p.request_count)::bigint as request_count,
      sum(p.error_count)::bigint as error_count,
      sum(p.latency_sum_ms) as latency_sum_ms,
      sum(p.confidence_count)::bigint as confidence_count,
      sum(p.confidence_sum) as confidence_sum,
      sum(p.quality_count)::bigint as quality_count,
      sum(p.quality_sum) as quality_sum,
      sum(p.ttft_count)::bigint as ttft_count,
      sum(p.ttft_ms_sum) as ttft_ms_sum,
      sum(p.input_tokens_sum)::bigint as input_tokens_sum,
      sum(p.output_tokens_sum)::bigint as output_tokens_sum,
      sum(p.cached_input_tokens_sum)::bigint as cached_input_tokens_sum,
      sum(p.cost_count)::bigint as cost_count,
      sum(p.cost_usd_sum) as cost_usd_sum,
      sum(p.value_usd_sum) as value_usd_sum,
      min(p.latency_min_ms) as min_ms, max(p.latency_max_ms) as max_ms,
      -- The newest: its first element, the number of requests, is the greatest.
      max(p.running) as running
    from pending p group by p.minute, p.model_version
  ),
  -- Read only where a quantile needs it.
  bins as materialized (
    select b.minute, b.model_version, array_agg(b.bin order by b.bin) as bins, array_agg(b.n order by b.bin) as counts
    from (
      select p.minute, p.model_version, unnest(p.latency_bins) as bin, unnest(p.latency_bin_counts) as n from pending p
    ) b
    group by b.minute, b.model_version
  ),
  totals as (
    select a.minute, a.model_version,
      a.request_count + coalesce(s.request_count, 0) as request_count,
      a.error_count + coalesce(s.error_count, 0) as error_count,
      a.latency_sum_ms + coalesce(s.latency_sum_ms, 0) as latency_sum_ms,
      a.confidence_count + coalesce(s.confidence_count, 0) as confidence_count,
      -- Null where nothing was counted: in one of them, or in both.
      coalesce(a.confidence_sum + s.confidence_sum, a.confidence_sum, s.confidence_sum) as confidence_sum,
      a.quality_count + coalesce(s.quality_count, 0) as quality_count,
      coalesce(a.quality_sum + s.quality_sum, a.quality_sum, s.quality_sum) as quality_sum,
      a.ttft_count + coalesce(s.ttft_count, 0) as ttft_count,
      coalesce(a.ttft_ms_sum + s.ttft_ms_sum, a.ttft_ms_sum, s.ttft_ms_sum) as ttft_ms_sum,
      coalesce(a.input_tokens_sum + s.input_tokens_sum, a.input_tokens_sum, s.input_tokens_sum) as input_tokens_sum,
      coalesce(a.output_tokens_sum + s.output_tokens_sum, a.output_tokens_sum, s.output_tokens_sum)
        as output_tokens_sum,
      coalesce(a.cached_input_tokens_sum + s.cached_input_tokens_sum, a.cached_input_tokens_sum,
        s.cached_input_tokens_sum) as cached_input_tokens_sum,
      a.cost_count + coalesce(s.cost_count, 0) as cost_count,
      coalesce(a.cost_usd_sum + s.cost_usd_sum, a.cost_usd_sum, s.cost_usd_sum) as cost_usd_sum,
      coalesce(a.value_usd_sum + s.value_usd_sum, a.value_usd_sum, s.value_usd_sum) as value_usd_sum,
      a.min_ms, a.max_ms,
      case when tier = 60 and a.running[1] = a.request_count + coalesce(s.request_count, 0)
          and a.minute not in (select c.minute from nowcast.corrected_minutes c)
        then a.running[2:4] end as known_ms
    from added a
      left join lateral (
        select f.* from nowcast.bucket_figures f
        where f.tier_seconds = tier and f.minute = a.minute and f.model_version = a.model_version
        offset 0
      ) s on true
  )
  select t.minute, t.model_version, t.request_count, t.error_count, t.latency_sum_ms, t.confidence_count,
    t.confidence_sum, t.quality_count, t.quality_sum, t.ttft_count, t.ttft_ms_sum, t.input_tokens_sum,
    t.output_tokens_sum, t.cached_input_tokens_sum, t.cost_count, t.cost_usd_sum, t.value_usd_sum,
    q.ms[1], q.ms[2], q.ms[3]
  from totals t,
    lateral (
      select case when t.known_ms is not null then t.known_ms else (
        select nowcast.quantiles_with(s.latency_bins, s.latency_bin_counts, b.bins, b.counts,
          t.request_count, array[0.5, 0.95, 0.99],
          least(t.min_ms, s.latency_min_ms), greatest(t.max_ms, s.latency_max_ms))
        from bins b left join lateral (
          select m.* from nowcast.model_summaries m
          where m.tier_seconds = tier and m.minute = b.minute and m.model_version = b.model_version
          offset 0
        ) s on true
        where b.minute = t.minute and b.model_version = t.model_version
      ) end as ms
      offset 0
    ) q;
end
$$;

-- One SELECT, which PostgreSQL folds into the query around it.
create or replace function nowcast.model_figures(tier integer, since timestamptz, until timestamptz)
  returns setof nowcast.model_figures
  language sql stable as $$
  with open_buckets as materialized (select * from nowcast.open_figures(tier, since, until))
  select f.minute, f.model_version, f.request_count, f.error_count, f.latency_sum_ms, f.confidence_count,
    f.confidence_sum, f.quality_count, f.quality_sum, f.ttft_count, f.ttft_ms_sum, f.input_tokens_sum,
    f.output_tokens_sum, f.cached_input_tokens_sum, f.cost_count, f.cost_usd_sum, f.value_usd_sum,
    f.p50_latency_ms, f.p95_latency_ms, f.p99_latency_ms
  from nowcast.bucket_figures f
  where f.tier_seconds = tier and f.minute >= since and f.minute < until
    and (f.minute < (select coalesce(min(o.minute), 'infinity') from open_buckets o)
      or (f.minute, f.model_version) not in (select o.minute, o.model_version from open_buckets o))
  union all
  select o.* from open_buckets o
$$;

-- Figures in buckets of any step of whole minutes, of one model and of one feature where they are given. The common case,
-- a step that is stored, is a statement of its own: the other's plan, though it would not run, costs more to start.
create or replace function nowcast.stepped_figures(
  step interval, since timestamptz, until timestamptz, model text, only_feature text
) returns setof nowcast.model_figures
  language plpgsql stable as $$
declare
  step_seconds constant integer := extract(epoch from step);
  tier constant integer := case when step_seconds % 3600 = 0 then 3600 when step_seconds % 900 = 0 then 900
    when step_seconds % 300 = 0 then 300 else 60 end;
begin
  if only_feature is null and step_seconds = tier then
    return query
    select f.* from nowcast.model_figures(tier, since, until) f where model is null or f.model_version = model;
  else
    return query
    select m.* from nowcast.merged_buckets(step, tier, since, until, model, only_feature) m;
  end if;
end
$$;
