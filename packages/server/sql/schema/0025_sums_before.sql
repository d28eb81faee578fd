-- What a rolling window holds before its last bucket, beside that bucket's own figures: who looks at an hour of rolling
-- averages reads 60 buckets a model and not 120, and adds nothing up. A trigger keeps them (internal/24_bucket_figures.sql).
-- They are sums of five minutes and of an hour, so longer buckets, which stand for themselves, have 0.
alter table nowcast.bucket_figures
  add column before_5m_requests bigint not null default 0,
  add column before_5m_errors bigint not null default 0,
  add column before_5m_latency_ms double precision not null default 0,
  add column before_1h_requests bigint not null default 0,
  add column before_1h_errors bigint not null default 0,
  add column before_1h_latency_ms double precision not null default 0;

update nowcast.bucket_figures f set
  before_5m_requests = s.requests_5m, before_5m_errors = s.errors_5m, before_5m_latency_ms = s.latency_ms_5m,
  before_1h_requests = s.requests_1h, before_1h_errors = s.errors_1h, before_1h_latency_ms = s.latency_ms_1h
from (
  select tier_seconds, minute, model_version,
    coalesce(sum(request_count) over five_minutes, 0) as requests_5m,
    coalesce(sum(error_count) over five_minutes, 0) as errors_5m,
    coalesce(sum(latency_sum_ms) over five_minutes, 0) as latency_ms_5m,
    sum(request_count) over an_hour as requests_1h,
    sum(error_count) over an_hour as errors_1h,
    sum(latency_sum_ms) over an_hour as latency_ms_1h
  from nowcast.bucket_figures where tier_seconds < 3600
  window
    five_minutes as (partition by tier_seconds, model_version order by minute
      range between interval '4 minutes' preceding and interval '1 minute' preceding),
    an_hour as (partition by tier_seconds, model_version order by minute
      range between interval '59 minutes' preceding and interval '1 minute' preceding)
) s
where s.requests_1h > 0
  and f.tier_seconds = s.tier_seconds and f.minute = s.minute and f.model_version = s.model_version;

-- A row of nowcast.rolled_figures(): figures of a bucket, and what the windows hold that end with it.
create type nowcast.rolled_figures as (
  minute timestamptz,
  model_version text,
  request_count bigint,
  error_count bigint,
  latency_sum_ms double precision,
  confidence_count bigint,
  confidence_sum double precision,
  quality_count bigint,
  quality_sum double precision,
  ttft_count bigint,
  ttft_ms_sum double precision,
  input_tokens_sum bigint,
  output_tokens_sum bigint,
  cached_input_tokens_sum bigint,
  cost_count bigint,
  cost_usd_sum double precision,
  value_usd_sum double precision,
  p50_latency_ms double precision,
  p95_latency_ms double precision,
  p99_latency_ms double precision,
  requests_5m double precision,
  errors_5m double precision,
  latency_ms_5m double precision,
  requests_1h double precision,
  errors_1h double precision,
  latency_ms_1h double precision
);
