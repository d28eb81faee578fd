-- A writer knows the quantiles of a model's minute as far as it wrote it, and says so with its partials: how many requests
-- it has written of this minute, and their p50, p95 and p99. Where that is all there are, whoever looks at the open
-- minute has no histogram to add up.
alter table nowcast.summary_partials add column running double precision[];

-- Minutes that were summed anew from their rows: what writers know of them is of no use.
create table nowcast.corrected_minutes (
  minute timestamptz primary key,
  corrected_at timestamptz not null default now()
);

-- They returned rows of nowcast.summary_partials.
drop function if exists nowcast.summaries_of_rows(timestamptz, timestamptz);
drop function if exists nowcast.merged_days(date, date);
drop function if exists nowcast.recomputed_summaries(timestamptz, timestamptz);
