-- Tells every server that keys were created or revoked, whoever did it. Not of last_used_at, which servers write.
create or replace function nowcast.keys_changed() returns trigger
  language plpgsql as $$
begin
  perform pg_notify('nowcast_keys', '');
  return null;
end
$$;

create or replace trigger keys_changed after insert or delete or truncate or update of hash, scope, revoked_at
  on nowcast.keys for each statement execute function nowcast.keys_changed();
