-- The figures of nowcast.model_summaries without their histograms, as charts and the hourly view print them: an hour of
-- 30 models lies on a few dozen pages, where beside the histograms' pointers it took one page visit a row. A trigger keeps
-- it (internal/25_model_figures.sql), so whoever changes the summaries changes this.
create table nowcast.bucket_figures (
  tier_seconds integer not null,
  minute timestamptz not null,
  model_version text not null,
  request_count bigint not null,
  error_count bigint not null,
  latency_sum_ms double precision not null,
  confidence_count bigint not null,
  confidence_sum double precision,
  quality_count bigint not null,
  quality_sum double precision,
  ttft_count bigint not null,
  ttft_ms_sum double precision,
  input_tokens_sum bigint,
  output_tokens_sum bigint,
  cached_input_tokens_sum bigint,
  cost_count bigint not null,
  cost_usd_sum double precision,
  value_usd_sum double precision,
  p50_latency_ms double precision not null,
  p95_latency_ms double precision not null,
  p99_latency_ms double precision not null,
  -- Divided once and not at each look: the hourly view spent a quarter of its time dividing.
  avg_latency_ms double precision not null generated always as (latency_sum_ms / request_count) stored,
  avg_confidence double precision generated always as (confidence_sum / nullif(confidence_count, 0)) stored,
  error_rate_pct numeric not null generated always as (round(100.0 * error_count / request_count, 2)) stored,
  primary key (tier_seconds, minute, model_version)
) with (
  -- The open minute's rows are rewritten four times a second: room for that in their own page.
  fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.02
);

insert into nowcast.bucket_figures (
  tier_seconds, minute, model_version, request_count, error_count, latency_sum_ms, confidence_count, confidence_sum,
  quality_count, quality_sum, ttft_count, ttft_ms_sum, input_tokens_sum, output_tokens_sum, cached_input_tokens_sum,
  cost_count, cost_usd_sum, value_usd_sum, p50_latency_ms, p95_latency_ms, p99_latency_ms
)
select tier_seconds, minute, model_version, request_count, error_count, latency_sum_ms, confidence_count, confidence_sum,
  quality_count, quality_sum, ttft_count, ttft_ms_sum, input_tokens_sum, output_tokens_sum, cached_input_tokens_sum,
  cost_count, cost_usd_sum, value_usd_sum, p50_latency_ms, p95_latency_ms, p99_latency_ms
from nowcast.model_summaries order by tier_seconds, minute, model_version;
