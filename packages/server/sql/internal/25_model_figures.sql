-- The figures of models by bucket, what is not compacted yet included: what every chart and the hourly view read.
-- One SELECT, which PostgreSQL folds into the query around it. Quantiles of open buckets come from one pass over the
-- sorted bins, for all of them together; keys are numbers there, and not texts.

-- Value at a place between two ranks, whose bins are known; see nowcast.latency_quantiles.
create or replace function nowcast.between_bins(
  low_bin smallint, high_bin smallint, place double precision, min_ms double precision, max_ms double precision
) returns double precision
  language plpgsql immutable parallel safe as $$
declare
  low double precision := least(greatest(nowcast.latency_bin_middle(low_bin), min_ms), max_ms);
begin
  if high_bin = low_bin then
    return low;
  end if;
  return low + (least(greatest(nowcast.latency_bin_middle(high_bin), min_ms), max_ms) - low) * (place - floor(place));
end
$$;

create or replace function nowcast.model_figures(tier integer, since timestamptz, until timestamptz)
  returns setof nowcast.model_figures
  language sql stable as $$
  with pending as materialized (
    select date_bin(make_interval(secs => tier), s.minute, timestamptz '2000-01-01 00:00:00+00') as minute,
      s.model_version, s.request_count, s.error_count, s.latency_sum_ms, s.confidence_count,
        s.confidence_sum, s.quality_count, s.quality_sum, s.ttft_count, s.ttft_ms_sum, s.input_tokens_sum,
        s.output_tokens_sum, s.cached_input_tokens_sum, s.cost_count, s.cost_usd_sum, s.value_usd_sum,
        s.latency_min_ms,
      s.latency_max_ms, s.latency_bins, s.latency_bin_counts
    from nowcast.summary_partials s where s.minute >= since and s.minute < until
    union all
    select date_bin(make_interval(secs => tier), s.minute, timestamptz '2000-01-01 00:00:00+00') as minute,
      s.model_version, s.request_count, s.error_count, s.latency_sum_ms, s.confidence_count,
        s.confidence_sum, s.quality_count, s.quality_sum, s.ttft_count, s.ttft_ms_sum, s.input_tokens_sum,
        s.output_tokens_sum, s.cached_input_tokens_sum, s.cost_count, s.cost_usd_sum, s.value_usd_sum,
        s.latency_min_ms,
      s.latency_max_ms, s.latency_bins, s.latency_bin_counts
    from nowcast.summary_merges s where tier <> 60 and s.minute >= since and s.minute < until
  ),
  open_buckets as materialized (
    select minute, model_version, row_number() over () as key_number from (select distinct minute,
      model_version from pending) d),
  open_rows as materialized (
    select p.*, o.key_number from pending p join open_buckets o using (minute, model_version)
    union all
    select s.minute, s.model_version, s.request_count, s.error_count, s.latency_sum_ms, s.confidence_count,
      s.confidence_sum, s.quality_count, s.quality_sum, s.ttft_count, s.ttft_ms_sum, s.input_tokens_sum,
      s.output_tokens_sum, s.cached_input_tokens_sum, s.cost_count, s.cost_usd_sum, s.value_usd_sum,
      s.latency_min_ms,
      s.latency_max_ms, s.latency_bins, s.latency_bin_counts, o.key_number
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
    select b.key_number, b.bin, sum(b.count::double precision) as count
    from (select n.key_number, unnest(n.latency_bins) as bin, unnest(n.latency_bin_counts) as count from
      open_rows n) b
    group by b.key_number, b.bin
  ),
  running as (
    select h.key_number, h.bin,
      sum(h.count) over (partition by h.key_number order by h.bin rows unbounded preceding) as seen
    from bins h
  ),
  ranked as (
    select r.key_number,
      min(r.bin) filter (where r.seen > floor(0.5::double precision * t.last_rank)) as p50_low,
      min(r.bin) filter (where r.seen > least(floor(0.5::double precision * t.last_rank) + 1,
          t.last_rank)) as p50_high,
      min(r.bin) filter (where r.seen > floor(0.95::double precision * t.last_rank)) as p95_low,
      min(r.bin) filter (where r.seen > least(floor(0.95::double precision * t.last_rank) + 1,
          t.last_rank)) as p95_high,
      min(r.bin) filter (where r.seen > floor(0.99::double precision * t.last_rank)) as p99_low,
      min(r.bin) filter (where r.seen > least(floor(0.99::double precision * t.last_rank) + 1,
          t.last_rank)) as p99_high
    from running r join (select key_number, (request_count - 1)::double precision as last_rank from totals)
      t using (key_number)
    group by r.key_number
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
    nowcast.between_bins(r.p50_low, r.p50_high, 0.5::double precision * (t.request_count - 1), t.min_ms, t.max_ms),
    nowcast.between_bins(r.p95_low, r.p95_high, 0.95::double precision * (t.request_count - 1), t.min_ms, t.max_ms),
    nowcast.between_bins(r.p99_low, r.p99_high, 0.99::double precision * (t.request_count - 1), t.min_ms, t.max_ms)
  from totals t join ranked r using (key_number)
$$;
