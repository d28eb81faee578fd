-- Histograms are most of a stored summary. A bin of an hour, of one model, holds no two billion requests (they would be
-- 600,000 a second), so up to there a count takes four bytes and not eight: rows are a third smaller. Days and longer, and
-- sums on their way, stay bigint.
alter table nowcast.minute_summaries
  alter column latency_bin_counts type integer[], alter column confidence_bin_counts type integer[];
alter table nowcast.unkept_minutes
  alter column latency_bin_counts type integer[], alter column confidence_bin_counts type integer[];
alter table nowcast.model_summaries
  alter column latency_bin_counts type integer[], alter column confidence_bin_counts type integer[];

-- Who wants figures alone reads nowcast.bucket_figures since 0012, so histograms need not lie aside: inside their row they
-- need neither chunks nor an index of their own.
alter table nowcast.model_summaries
  alter column latency_bins set storage extended,
  alter column latency_bin_counts set storage extended,
  alter column confidence_bins set storage extended,
  alter column confidence_bin_counts set storage extended,
  reset (toast_tuple_target);

-- They returned rows of these tables for what may be longer than an hour.
drop function if exists nowcast.merged_buckets(interval, integer, timestamptz, timestamptz, text, text);
drop function if exists nowcast.merged_days(date, date);
