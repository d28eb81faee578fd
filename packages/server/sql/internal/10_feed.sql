-- Feed rows and wake-ups for every writer but Nowcast's own, which writes them itself.

-- The payload is constant: NOTIFY folds equal ones into one per transaction.
create or replace function nowcast.wake() returns void
  language sql as $$ select pg_notify('nowcast_feed', '') $$;

-- Small tables tell the whole change: their rows are few and the change may be gone before it is read. Of a statement that
-- changes thousands of them only the number is told: writing and reading them would take longer than the statement, and
-- whoever follows asks once instead.
create or replace function nowcast.feed_changes() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  told jsonb;
  changed integer;
begin
  if tg_op = 'DELETE' then
    select count(*) into changed from old_rows;
  else
    select count(*) into changed from new_rows;
  end if;
  if changed > 2000 then
    insert into nowcast.feed (relation, row_count) values (tg_table_name, changed);
    perform nowcast.wake();
    return null;
  end if;
  if tg_op = 'INSERT' then
    select jsonb_agg(jsonb_build_object('type', 'INSERT', 'record', to_jsonb(n))) into told from new_rows n;
  elsif tg_op = 'UPDATE' then
    -- The key of these tables never changes, so the old record is the key of the new one.
    select jsonb_agg(jsonb_build_object('type', 'UPDATE', 'record', to_jsonb(n))) into told from new_rows n;
  else
    select jsonb_agg(jsonb_build_object('type', 'DELETE', 'old_record', to_jsonb(o))) into told from old_rows o;
  end if;
  if told is not null then
    insert into nowcast.feed (relation, row_count, changes)
      values (tg_table_name, jsonb_array_length(told), told);
    perform nowcast.wake();
  end if;
  return null;
end
$$;

-- A silence is told under the name of the view that shows it.
do $$
declare
  watched regclass;
begin
  foreach watched in array array['public.system_alerts', 'public.metrics_pulse', 'public.daily_metrics_summary',
    'public.alert_rules', 'nowcast.alert_silences'] loop
    execute format('create or replace trigger feed_insert after insert on %s
      referencing new table as new_rows for each statement execute function nowcast.feed_changes()', watched);
    execute format('create or replace trigger feed_update after update on %s
      referencing new table as new_rows for each statement execute function nowcast.feed_changes()', watched);
    execute format('create or replace trigger feed_delete after delete on %s
      referencing old table as old_rows for each statement execute function nowcast.feed_changes()', watched);
  end loop;
end
$$;
