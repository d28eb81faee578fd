-- Adds the appended counts up, under the compactor's lock. One statement: two would lose an append between them.
create or replace function nowcast.fold_losses(max_partials integer default 20000) returns integer
  language plpgsql as $$
declare
  taken_count integer;
begin
  if not pg_try_advisory_xact_lock(nowcast.compaction_lock()) then
    return -1;
  end if;
  with taken as (
    delete from nowcast.loss_partials
    where ctid = any (array(select p.ctid from nowcast.loss_partials p limit max_partials))
    returning *
  ),
  folded as (
    insert into nowcast.loss_minutes as m (minute, sender, fate, reason, events)
    select minute, sender, fate, reason, sum(events) from taken group by minute, sender, fate, reason
    on conflict (minute, sender, fate, reason) do update set events = m.events + excluded.events
  )
  select count(*) into taken_count from taken;
  return taken_count;
end
$$;
