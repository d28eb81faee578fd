-- What people see lives in public and carries the article's names; how it works lives in nowcast.
-- The schema nowcast itself, and its table of migrations, are made by store/migrate.ts.

create sequence public.inference_logs_id_seq;

-- One row an inference, partitioned by UTC day. The partitions stand in schema nowcast (internal/partitions.sql).
-- Latency and confidence are double precision: numeric measured 5 to 15 % slower. The id comes from a sequence
-- default, because identity columns reach a directly named partition only from PostgreSQL 17 on.
create table public.inference_logs (
  id bigint not null default nextval('public.inference_logs_id_seq'),
  timestamp timestamptz not null default now(),
  model_version text not null,
  inference_time_ms double precision not null,
  confidence_score double precision,
  input_size_bytes integer,
  prediction_class text,
  is_error boolean default false,
  error_message text,
  metadata jsonb,
  user_id text,
  feature text,
  variant text,
  session_id text,
  trace_id text,
  provider text,
  input_tokens integer,
  output_tokens integer,
  cached_input_tokens integer,
  cost_usd double precision,
  value_usd double precision,
  compute_ms double precision,
  ttft_ms double precision,
  quality_score double precision,
  feedback smallint,
  primary key (timestamp, id),
  -- The first bound also refuses NaN, which would poison every sum; the keys stand in index entries.
  constraint inference_time_ms_range check (inference_time_ms >= 0 and inference_time_ms <= 1e9),
  constraint confidence_score_range check (confidence_score >= 0 and confidence_score <= 1),
  constraint quality_score_range check (quality_score >= 0 and quality_score <= 1),
  constraint summary_key_length check (
    length(model_version) between 1 and 200 and length(feature) <= 200 and length(variant) <= 200
  )
) partition by range (timestamp);

alter sequence public.inference_logs_id_seq owned by public.inference_logs.id;

-- Serves "newest errors" on the dashboard and in alerts. Partial, so a healthy system pays nothing for it.
create index inference_logs_errors on public.inference_logs (timestamp desc) where is_error;

create table public.system_alerts (
  id serial primary key,
  timestamp timestamptz not null default now(),
  severity text not null check (severity in ('warning', 'critical')),
  alert_type text not null,
  message text not null,
  metadata jsonb,
  acknowledged boolean default false,
  status text not null default 'firing' check (status in ('firing', 'resolved')),
  resolved_at timestamptz,
  rule text,
  labels jsonb not null default '{}'
);

-- One open alert per rule and labels, whoever writes first.
create unique index system_alerts_one_open on public.system_alerts (rule, labels) where status = 'firing';
-- Serves the alert panel: `acknowledged = false order by timestamp desc`.
create index system_alerts_open on public.system_alerts (timestamp desc) where not acknowledged;

create table public.daily_metrics_summary (
  date date not null,
  model_version text not null,
  total_requests bigint not null,
  avg_latency_ms double precision,
  p50_latency_ms double precision,
  p95_latency_ms double precision,
  p99_latency_ms double precision,
  avg_confidence double precision,
  total_errors bigint not null,
  error_rate_pct double precision,
  primary key (date, model_version)
);

-- Summaries. A writer appends one row per (minute, model_version, feature, variant) and transaction; the
-- compactor merges them. Absent feature and variant are '' here. Everything adds up; sums are null where nothing
-- was counted. Histograms are sparse: bin numbers (ascending) and their counts, see 0002_histogram_edges.sql.
create type nowcast.summary_content as (
  request_count bigint,
  error_count bigint,
  latency_sum_ms double precision,
  latency_sum_sq double precision,
  latency_log_sum double precision,
  latency_log_sum_sq double precision,
  latency_min_ms double precision,
  latency_max_ms double precision,
  confidence_count bigint,
  confidence_sum double precision,
  confidence_sum_sq double precision,
  quality_count bigint,
  quality_sum double precision,
  quality_sum_sq double precision,
  feedback_count bigint,
  feedback_sum bigint,
  input_size_bytes_sum bigint,
  input_tokens_sum bigint,
  output_tokens_sum bigint,
  cached_input_tokens_sum bigint,
  cost_count bigint,
  cost_usd_sum double precision,
  value_usd_sum double precision,
  compute_ms_sum double precision,
  ttft_count bigint,
  ttft_ms_sum double precision,
  latency_bins smallint[],
  latency_bin_counts bigint[],
  confidence_bins smallint[],
  confidence_bin_counts bigint[]
);

create table nowcast.summary_partials (
  minute timestamptz not null,
  model_version text not null,
  feature text not null,
  variant text not null,
  like nowcast.summary_content
) with (
  -- Rows live for about a second; the compactor vacuums by itself.
  autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000
);

create table nowcast.minute_summaries (
  like nowcast.summary_partials,
  primary key (minute, model_version, feature, variant)
);

-- The same by model alone and by longer buckets, with quantiles, which finer keys cannot give: merging
-- 60 x 30 histograms on read takes 150 ms.
create table nowcast.model_summaries (
  tier_seconds integer not null, -- 60, 300 or 3600
  minute timestamptz not null, -- start of the bucket
  model_version text not null,
  like nowcast.summary_content,
  p50_latency_ms double precision not null,
  p95_latency_ms double precision not null,
  p99_latency_ms double precision not null,
  primary key (tier_seconds, minute, model_version)
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, toast_tuple_target = 128);
-- Histograms lie aside: an hour of 30 models is read for its figures alone, and then from a fifth of the pages.
alter table nowcast.model_summaries
  alter column latency_bins set storage external,
  alter column latency_bin_counts set storage external,
  alter column confidence_bins set storage external,
  alter column confidence_bin_counts set storage external;

-- A row of nowcast.model_figures(): a bucket of a model without its histograms.
create type nowcast.model_figures as (
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
  p99_latency_ms double precision
);

-- Minutes whose rows were updated or deleted: to be summed anew from the rows.
create table nowcast.stale_minutes (minute timestamptz not null);

-- What each transaction wrote: how delivery finds it, and how the outcome of a lost commit is looked up.
create table nowcast.feed (
  position bigint generated always as identity primary key,
  xid xid8 not null default pg_current_xact_id(),
  token uuid, -- random id of the writer's transaction
  relation text not null,
  day text, -- suffix of the partition, for rows of inference_logs
  min_timestamp timestamptz,
  max_timestamp timestamptz,
  min_id bigint,
  max_id bigint,
  row_count integer not null,
  changes jsonb, -- of small tables: [{"type", "record", "old_record"}]
  created_at timestamptz not null default clock_timestamp()
) with (autovacuum_vacuum_scale_factor = 0.05);
create index feed_xid on nowcast.feed (xid);
create unique index feed_token on nowcast.feed (token) where token is not null;

-- Batches by the id that their sender gave, with the answer that a repeat gets.
create table nowcast.batches (
  sender text not null,
  batch_id text not null,
  answer jsonb not null,
  received_at timestamptz not null default now(),
  primary key (sender, batch_id)
);

-- When a model last had an event that the latency check refused; appended, so that no row lock is shared.
create table nowcast.latency_violations (
  model_version text not null,
  violated_at timestamptz not null default now()
);

-- The metrics of the minutes that are moving, for dashboards to subscribe to instead of raw rows. Kept current
-- while somebody watches.
create table public.metrics_pulse (
  minute timestamptz not null,
  model_version text not null,
  request_count bigint not null,
  error_count bigint not null,
  error_rate_pct double precision not null,
  avg_latency_ms double precision not null,
  p50_latency_ms double precision not null,
  p95_latency_ms double precision not null,
  p99_latency_ms double precision not null,
  avg_confidence double precision,
  avg_quality double precision,
  input_tokens bigint,
  output_tokens bigint,
  cost_usd double precision,
  updated_at timestamptz not null default now(),
  primary key (minute, model_version)
) with (fillfactor = 50);

-- A row of metrics(): one a bucket and model.
create type nowcast.metrics_bucket as (
  bucket timestamptz,
  model_version text,
  request_count bigint,
  error_count bigint,
  error_rate_pct double precision,
  avg_latency_ms double precision,
  p50_latency_ms double precision,
  p95_latency_ms double precision,
  p99_latency_ms double precision,
  avg_confidence double precision,
  avg_quality double precision,
  avg_ttft_ms double precision,
  input_tokens bigint,
  output_tokens bigint,
  cached_input_tokens bigint,
  cost_usd double precision,
  priced_requests bigint,
  value_usd double precision,
  rolling_5m_avg_latency_ms double precision,
  rolling_1h_avg_latency_ms double precision,
  rolling_5m_error_rate_pct double precision,
  rolling_1h_error_rate_pct double precision
);
