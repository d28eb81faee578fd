-- Days, weeks and months by model, for years: what trends read. A day begins at midnight of the configured zone; its
-- content is the sum of the hours in it, a week's and a month's the sum of their days.
create table nowcast.period_summaries (
  kind text not null check (kind in ('day', 'week', 'month')),
  starts date not null,
  model_version text not null,
  like nowcast.summary_content,
  p50_latency_ms double precision not null,
  p95_latency_ms double precision not null,
  p99_latency_ms double precision not null,
  days integer not null, -- days with events in the period
  -- Variances of requests a day, mean latency and error rate, days as clusters: null below two days.
  daily_requests_variance double precision,
  avg_latency_variance double precision,
  error_rate_variance double precision,
  primary key (kind, starts, model_version)
) with (toast_tuple_target = 128);
-- Histograms lie aside, as in nowcast.model_summaries.
alter table nowcast.period_summaries
  alter column latency_bins set storage external,
  alter column latency_bin_counts set storage external,
  alter column confidence_bins set storage external,
  alter column confidence_bin_counts set storage external;

-- The ledger: which periods are closed, and with which content. What differs from it is closed anew.
create table nowcast.periods (
  kind text not null check (kind in ('day', 'week', 'month')),
  starts date not null,
  zone text not null, -- whose midnight began it
  state numeric, -- fingerprint of the summaries that went in; null: to be closed
  closed_at timestamptz,
  closings integer not null default 0,
  primary key (kind, starts)
);
create index periods_open on nowcast.periods (kind, starts) where state is null;

-- Up to when summaries of a tier were given up. The table holds one row a tier.
create table nowcast.pruned_tiers (
  tier text primary key check (tier in ('minutes', 'five_minutes')),
  until timestamptz not null
);

-- Days of rows that stand in the archive.
create table nowcast.cold_days (
  day date primary key,
  file text not null, -- name inside NOWCAST_COLD_URL
  row_count bigint not null,
  -- Of the rows as they stood in PostgreSQL, over these columns: see history/cold/columns.ts.
  fingerprint numeric not null,
  column_names text[] not null,
  bytes bigint not null,
  sha256 text not null, -- of the file
  archived_at timestamptz not null default now(),
  -- When the rows left PostgreSQL; null while they are in both.
  dropped_at timestamptz,
  -- Rows that were brought back stay until then.
  restored_until timestamptz
);
