-- The hot window to apply now, of a server that is set to `asked` days: that one, or for 24 hours the larger one that it
-- replaces. `applies_at` is when a smaller one will be applied, null when it is already.
create or replace function nowcast.announce_hot_days(asked integer, out days integer, out applies_at timestamptz)
  language plpgsql as $$
declare
  known nowcast.retention_window;
begin
  insert into nowcast.retention_window (hot_days) values (asked) on conflict do nothing;
  select w.* into known from nowcast.retention_window w for update;
  if asked < known.hot_days then
    known.hot_days_before := case when known.lowered_at > now() - interval '24 hours'
      then greatest(known.hot_days_before, known.hot_days) else known.hot_days end;
    known.lowered_at := now();
  elsif asked > known.hot_days then
    known.lowered_at := null;
    known.hot_days_before := null;
  end if;
  update nowcast.retention_window
    set hot_days = asked, lowered_at = known.lowered_at, hot_days_before = known.hot_days_before;
  days := asked;
  if known.lowered_at > now() - interval '24 hours' then
    days := known.hot_days_before;
    applies_at := known.lowered_at + interval '24 hours';
  end if;
end
$$;
