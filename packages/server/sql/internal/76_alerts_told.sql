-- An open page shows who was told as it happens: each message sent is a new line of incident_timeline.
create or replace function nowcast.feed_told() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  told jsonb;
begin
  select jsonb_agg(jsonb_build_object('type', 'INSERT', 'record', jsonb_build_object(
    'incident_id', n.incident_id, 'at', n.sent_at, 'kind', 'sent', 'channel', n.channel))) into told
  from new_rows n where n.incident_id is not null;
  if told is not null then
    insert into nowcast.feed (relation, row_count, changes)
      values ('incident_timeline', jsonb_array_length(told), told);
    perform nowcast.wake();
  end if;
  return null;
end
$$;
create or replace trigger feed_told after insert on nowcast.alert_messages
  referencing new table as new_rows for each statement execute function nowcast.feed_told();

-- It shows as well how channels fare: each failure and the first success after it, whichever server it met.
create or replace function nowcast.feed_channel() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  insert into nowcast.feed (relation, row_count, changes)
    values ('incident_timeline', 1, jsonb_build_array(jsonb_build_object('type', 'INSERT', 'record', jsonb_build_object(
      'incident_id', null, 'at', now(), 'kind', case when new.consecutive_failures > 0 then 'failing' else 'working' end,
      'channel', new.channel))));
  perform nowcast.wake();
  return null;
end
$$;
create or replace trigger feed_channel after update on nowcast.alert_channel_states
  for each row when (new.consecutive_failures <> old.consecutive_failures) execute function nowcast.feed_channel();
