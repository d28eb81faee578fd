-- The columns of a summary, as the type nowcast.summary_content lists them, for everything that is built from them.

-- As a select list: `a, b, c`, or with the prefix `s.` `s.a, s.b, s.c`.
create or replace function nowcast.summary_columns(prefix text default '') returns text
  language sql stable as $$
  select string_agg(prefix || attname, ', ' order by attnum) from pg_attribute
  where attrelid = 'nowcast.summary_content'::regclass and attnum > 0 and not attisdropped
$$;

-- Gives a table that was made from the type the columns that the type gained since.
create or replace function nowcast.add_summary_columns(relation regclass) returns void
  language plpgsql as $$
declare
  gained record;
begin
  for gained in
    select attname, format_type(atttypid, atttypmod) as type from pg_attribute
    where attrelid = 'nowcast.summary_content'::regclass and attnum > 0 and not attisdropped
    order by attnum
  loop
    execute format('alter table %s add column if not exists %I %s', relation, gained.attname, gained.type);
  end loop;
end
$$;
