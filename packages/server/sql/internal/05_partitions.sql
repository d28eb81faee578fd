-- An empty table for a day's rows, not attached yet: the columns of inference_logs with their defaults, its checks and its
-- indexes. Only the order of the columns is another: those of fixed width come first, the widest of them foremost, so that
-- none needs padding. That saves 4.6 bytes a row; PostgreSQL pairs the columns of a partition by name.
create or replace function nowcast.create_day_table(day date) returns regclass
  language plpgsql as $$
declare
  relation constant text := format('nowcast.%I', 'inference_logs_' || to_char(day, 'YYYYMMDD'));
  addition text;
begin
  execute format('create table %s (%s)', relation, (
    select string_agg(
      concat_ws(' ', quote_ident(a.attname), format_type(a.atttypid, a.atttypmod),
        case when a.attcollation <> t.typcollation then format('collate %s', a.attcollation::regcollation) end,
        'default ' || pg_get_expr(d.adbin, d.adrelid), case when a.attnotnull then 'not null' end),
      ', ' order by t.typlen < 0, array_position('{d,i,s,c}'::"char"[], t.typalign), a.attnum)
    from pg_attribute a join pg_type t on t.oid = a.atttypid
      left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
    where a.attrelid = 'public.inference_logs'::regclass and a.attnum > 0 and not a.attisdropped
  ));
  for addition in
    select format('alter table %s add constraint %I %s', relation, c.conname, pg_get_constraintdef(c.oid))
    from pg_constraint c where c.conrelid = 'public.inference_logs'::regclass and c.contype = 'c'
    union all
    select case
      when c.oid is not null then format('alter table %s add %s', relation, pg_get_constraintdef(c.oid))
      else format('create %s index on %s %s', case when x.indisunique then 'unique' end, relation,
        substring(pg_get_indexdef(x.indexrelid) from ' (USING .*)$')) end
    from pg_index x left join pg_constraint c on c.conindid = x.indexrelid and c.conrelid = x.indrelid
    where x.indrelid = 'public.inference_logs'::regclass
  loop
    execute addition;
  end loop;
  return relation;
end
$$;

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
    perform nowcast.create_day_table(day);
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
