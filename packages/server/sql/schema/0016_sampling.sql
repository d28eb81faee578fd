-- How many events a row stands for, where ordinary events are sampled; null: itself alone. Of a row of weight w one in w
-- such events was kept.
do $$
declare
  -- Days that an interrupted retention left detached belong to the table all the same.
  day_table regclass;
begin
  alter table public.inference_logs add column sample_weight double precision;
  for day_table in
    select c.oid from pg_class c
    where c.relnamespace = 'nowcast'::regnamespace and c.relkind = 'r' and not c.relispartition
      and c.relname ~ '^inference_logs_\d{8}$'
  loop
    execute format('alter table %s add column if not exists sample_weight double precision', day_table);
  end loop;
end
$$;

-- The summary of events that were counted and not kept. All other summaries count them too; this one stands apart so that
-- a minute can be summed anew: its rows and this.
create table nowcast.unkept_partials (like nowcast.summary_partials) with (
  autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000
);
create table nowcast.unkept_minutes (
  like nowcast.summary_partials,
  primary key (minute, model_version, feature, variant)
);

-- What is given up of them bounds what can be summed anew.
alter table nowcast.pruned_tiers drop constraint pruned_tiers_tier_check;
alter table nowcast.pruned_tiers add constraint pruned_tiers_tier_check
  check (tier in ('minutes', 'five_minutes', 'unkept'));

-- Whose events are all kept, whatever the share of the others. A server follows it within seconds.
create table public.sampling_keep (
  field text not null check (field in (
    'user_id', 'trace_id', 'session_id', 'model_version', 'feature', 'variant', 'provider'
  )),
  value text not null check (length(value) between 1 and 8192),
  reason text,
  created_at timestamptz not null default now(),
  until timestamptz, -- null: until the row is deleted
  primary key (field, value)
);
