-- One partition a UTC day. It is made by itself and then attached: CREATE ... PARTITION OF would lock the parent
-- against every reader and writer behind one open SELECT. The table is empty, so attaching scans nothing.
create or replace function nowcast.create_partition(day date) returns void
  language plpgsql as $$
declare
  name constant text := 'inference_logs_' || to_char(day, 'YYYYMMDD');
  attached boolean;
begin
  -- Several servers may find the day missing at once.
  perform pg_advisory_xact_lock(7021850139402);
  select c.relispartition into attached from pg_class c
    where c.relnamespace = 'nowcast'::regnamespace and c.relname = name;
  if attached then
    return;
  elsif attached is null then
    execute format('create table nowcast.%I (like public.inference_logs
      including defaults including constraints including indexes)', name);
  end if;
  execute format('alter table public.inference_logs attach partition nowcast.%I for values from (%L) to (%L)',
    name, day::timestamp at time zone 'UTC', (day + 1)::timestamp at time zone 'UTC');
end
$$;

-- Days that have a partition.
create or replace function nowcast.partition_days() returns setof date
  language sql stable as $$
  select to_date(right(c.relname, 8), 'YYYYMMDD')
  from pg_inherits i join pg_class c on c.oid = i.inhrelid
  where i.inhparent = 'public.inference_logs'::regclass
$$;
