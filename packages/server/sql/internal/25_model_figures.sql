-- The figures of models by bucket, what is not compacted yet included: what every chart and the hourly view read.
-- One SELECT, which PostgreSQL folds into the query around it. Quantiles of open buckets come from one pass over the
-- sorted bins, for all of them together; keys are numbers there, and not texts.

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

create or replace function nowcast.model_figures(tier integer, since timestamptz, until timestamptz)
  returns setof nowcast.model_figures
  language sql stable as $$
  with pending as materialized (
    select date_bin(make_interval(secs => tier), s.minute, timestamptz '2000-01-01 00:00:00+00') as minute,
      s.model_version, s.request_count, s.error_count, s.latency_sum_ms, s.confidence_count,
      s.confidence_sum, s.quality_count, s.quality_sum, s.ttft_count, s.ttft_ms_sum, s.input_tokens_sum,
      s.output_tokens_sum, s.cached_input_tokens_sum, s.cost_count, s.cost_usd_sum, s.value_usd_sum,
      s.latency_min_ms, s.latency_max_ms, s.latency_bins, s.latency_bin_counts
    from nowcast.summary_partials s where s.minute >= since and s.minute < until
    union all
    select date_bin(make_interval(secs => tier), s.minute, timestamptz '2000-01-01 00:00:00+00') as minute,
      s.model_version, s.request_count, s.error_count, s.latency_sum_ms, s.confidence_count,
      s.confidence_sum, s.quality_count, s.quality_sum, s.ttft_count, s.ttft_ms_sum, s.input_tokens_sum,
      s.output_tokens_sum, s.cached_input_tokens_sum, s.cost_count, s.cost_usd_sum, s.value_usd_sum,
      s.latency_min_ms, s.latency_max_ms, s.latency_bins, s.latency_bin_counts
    from nowcast.summary_merges s where tier <> 60 and s.minute >= since and s.minute < until
  ),
  open_buckets as materialized (
    select minute, model_version, (row_number() over ())::integer as key_number
    from (select distinct minute, model_version from pending) d
  ),
  open_rows as materialized (
    select p.*, o.key_number from pending p join open_buckets o using (minute, model_version)
    union all
    select s.minute, s.model_version, s.request_count, s.error_count, s.latency_sum_ms, s.confidence_count,
    s.confidence_sum, s.quality_count, s.quality_sum, s.ttft_count, s.ttft_ms_sum, s.input_tokens_sum,
    s.output_tokens_sum, s.cached_input_tokens_sum, s.cost_count, s.cost_usd_sum, s.value_usd_sum,
    s.latency_min_ms, s.latency_max_ms, s.latency_bins, s.latency_bin_counts, o.key_number
    from open_buckets o join nowcast.model_summaries s using (minute, model_version) where s.tier_seconds = tier
  ),
  totals as materialized (
    select n.key_number, min(n.minute) as minute, min(n.model_version) as model_version,
      sum(n.request_count)::bigint as request_count,
      sum(n.error_count)::bigint as error_count,
      sum(n.latency_sum_ms) as latency_sum_ms,
      sum(n.confidence_count)::bigint as confidence_count,
      sum(n.confidence_sum) as confidence_sum,
      sum(n.quality_count)::bigint as quality_count,
      sum(n.quality_sum) as quality_sum,
      sum(n.ttft_count)::bigint as ttft_count,
      sum(n.ttft_ms_sum) as ttft_ms_sum,
      sum(n.input_tokens_sum)::bigint as input_tokens_sum,
      sum(n.output_tokens_sum)::bigint as output_tokens_sum,
      sum(n.cached_input_tokens_sum)::bigint as cached_input_tokens_sum,
      sum(n.cost_count)::bigint as cost_count,
      sum(n.cost_usd_sum) as cost_usd_sum,
      sum(n.value_usd_sum) as value_usd_sum,
      min(n.latency_min_ms) as min_ms, max(n.latency_max_ms) as max_ms
    from open_rows n group by n.key_number
  ),
  bins as (
    -- Key and bin in one number: a single column to hash and to sort by.
    select b.place, sum(b.count::double precision) as count
    from (
      select n.key_number * 4096 + unnest(n.latency_bins) as place, unnest(n.latency_bin_counts) as count
      from open_rows n
    ) b
    group by b.place
  ),
  running as (
    select b.place / 4096 as key_number, (b.place % 4096)::smallint as bin,
      sum(b.count) over (partition by b.place / 4096 order by b.place rows unbounded preceding) as seen
    from bins b
  ),
  ranked as (
    select r.key_number, array_agg(r.bin order by r.bin) as bins, array_agg(r.seen order by r.bin) as seen
    from running r group by r.key_number
  ),
  -- As nowcast.latency_quantiles does it, for all keys at once: between the middles of the bins of two ranks.
  placed as (
    select r.key_number, p.n, p.place, t.min_ms, t.max_ms,
      r.bins[width_bucket(floor(p.place), r.seen) + 1]::integer as low_bin,
      r.bins[width_bucket(least(floor(p.place) + 1, t.request_count - 1), r.seen) + 1]::integer as high_bin
    from totals t join ranked r using (key_number),
      lateral (
        select f.n, f.fraction * (t.request_count - 1) as place
        from (values (1, 0.5::double precision), (2, 0.95), (3, 0.99)) f (n, fraction)
      ) p
  ),
  quantiles as (
    select v.key_number, array_agg(v.low + (v.high - v.low) * (v.place - floor(v.place)) order by v.n) as ms
    from (
      select p.key_number, p.n, p.place,
        least(greatest(m.middles[p.low_bin + 1], p.min_ms), p.max_ms) as low,
        case when p.high_bin = p.low_bin then least(greatest(m.middles[p.low_bin + 1], p.min_ms), p.max_ms)
          else least(greatest(m.middles[p.high_bin + 1], p.min_ms), p.max_ms) end as high
      from placed p, (select nowcast.latency_bin_middles() as middles) m
    ) v
    group by v.key_number
  )
  select s.minute, s.model_version, s.request_count, s.error_count, s.latency_sum_ms, s.confidence_count,
  s.confidence_sum, s.quality_count, s.quality_sum, s.ttft_count, s.ttft_ms_sum, s.input_tokens_sum,
  s.output_tokens_sum, s.cached_input_tokens_sum, s.cost_count, s.cost_usd_sum, s.value_usd_sum,
    s.p50_latency_ms, s.p95_latency_ms, s.p99_latency_ms
  from nowcast.model_summaries s
  where s.tier_seconds = tier and s.minute >= since and s.minute < until
    and (s.minute, s.model_version) not in (select o.minute, o.model_version from open_buckets o)
  union all
  select t.minute, t.model_version, t.request_count, t.error_count, t.latency_sum_ms, t.confidence_count,
  t.confidence_sum, t.quality_count, t.quality_sum, t.ttft_count, t.ttft_ms_sum, t.input_tokens_sum,
  t.output_tokens_sum, t.cached_input_tokens_sum, t.cost_count, t.cost_usd_sum, t.value_usd_sum,
    q.ms[1], q.ms[2], q.ms[3]
  from totals t join quantiles q using (key_number)
$$;
