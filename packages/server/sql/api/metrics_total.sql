-- Metrics of a whole window, one row a model and one with model_version null for all of them together. Quantiles do not
-- add up, so they come from the sum of the histograms: of hours inside the window, of 5 minutes and of minutes towards
-- its ends, which are held to whole minutes. Seven days read 168 histograms a model and not 10,080.
create or replace function public.metrics_total(
  since timestamptz default now() - interval '1 hour',
  until timestamptz default now()
) returns table (
  model_version text, request_count bigint, error_count bigint, error_rate_pct double precision,
  avg_latency_ms double precision, p50_latency_ms double precision, p95_latency_ms double precision,
  p99_latency_ms double precision, avg_confidence double precision, avg_quality double precision,
  avg_ttft_ms double precision, input_tokens bigint, output_tokens bigint, cached_input_tokens bigint,
  cost_usd double precision, priced_requests bigint, value_usd double precision
)
  language plpgsql stable set enable_sort = off as $$
#variable_conflict use_column
declare
  origin constant timestamptz := '2000-01-01 00:00:00+00';
  first_minute constant timestamptz := date_bin('1 minute', since, origin);
  first_five constant timestamptz := date_bin('5 minutes', since + interval '5 minutes' - interval '1 microsecond', origin);
  first_hour constant timestamptz := date_bin('1 hour', since + interval '1 hour' - interval '1 microsecond', origin);
  -- A bucket that is not over ends with the window all the same: nothing of it lies beyond now.
  beyond constant timestamptz := greatest(until, first_minute);
  last_five constant timestamptz := greatest(date_bin('5 minutes', beyond, origin), least(first_five, beyond));
  last_hour constant timestamptz := greatest(date_bin('1 hour', beyond, origin), least(first_hour, last_five));
  five_from constant timestamptz := least(first_five, last_five);
  hour_from constant timestamptz := least(first_hour, last_hour);
begin
  return query
  with buckets as materialized (
    select b.* from nowcast.model_buckets(60, first_minute, five_from) b
    union all select b.* from nowcast.model_buckets(300, five_from, hour_from) b
    union all select b.* from nowcast.model_buckets(3600, hour_from, last_hour) b
    union all select b.* from nowcast.model_buckets(300, last_hour, last_five) b
    union all select b.* from nowcast.model_buckets(60, last_five, beyond) b
  ),
  bins as (
    select b.model_version, grouping(b.model_version) as every_model, h.bin, sum(h.n)::bigint as n
    from buckets b, unnest(b.latency_bins, b.latency_bin_counts) h (bin, n)
    group by grouping sets ((b.model_version, h.bin), (h.bin))
  ),
  histograms as (
    select b.model_version, b.every_model,
      array_agg(b.bin order by b.bin) as latency_bins, array_agg(b.n order by b.bin) as latency_bin_counts
    from bins b group by b.model_version, b.every_model
  ),
  sums as (
    select b.model_version, grouping(b.model_version) as every_model,
      sum(b.request_count)::bigint as requests, sum(b.error_count)::bigint as errors,
      sum(b.latency_sum_ms) as latency_sum_ms, min(b.latency_min_ms) as min_ms, max(b.latency_max_ms) as max_ms,
      sum(b.confidence_sum) / nullif(sum(b.confidence_count), 0) as confidence,
      sum(b.quality_sum) / nullif(sum(b.quality_count), 0) as quality,
      sum(b.ttft_ms_sum) / nullif(sum(b.ttft_count), 0) as ttft_ms,
      sum(b.input_tokens_sum)::bigint as input_tokens, sum(b.output_tokens_sum)::bigint as output_tokens,
      sum(b.cached_input_tokens_sum)::bigint as cached_input_tokens,
      sum(b.cost_usd_sum) as cost_usd, sum(b.cost_count)::bigint as priced, sum(b.value_usd_sum) as value_usd
    from buckets b group by grouping sets ((b.model_version), ())
  )
  select s.model_version, s.requests, s.errors, round(100.0 * s.errors / s.requests, 2)::double precision,
    s.latency_sum_ms / s.requests, q.quantiles[1], q.quantiles[2], q.quantiles[3], s.confidence, s.quality, s.ttft_ms,
    s.input_tokens, s.output_tokens, s.cached_input_tokens, s.cost_usd, s.priced, s.value_usd
  from sums s
    join histograms h on h.every_model = s.every_model and h.model_version is not distinct from s.model_version,
    nowcast.latency_quantiles(h.latency_bins, h.latency_bin_counts, array[0.5, 0.95, 0.99], s.min_ms, s.max_ms)
      q (quantiles)
  order by s.every_model desc, s.requests desc, s.model_version;
end
$$;
