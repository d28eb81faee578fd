-- What people do about alerts, for SQL and for the command line.

-- Somebody takes an alert in hand: it is not repeated any more. False when there is no such alert, or it is over.
create or replace function public.acknowledge_alert(alert_id integer, by text, note text default null) returns boolean
  language plpgsql as $$
begin
  update public.system_alerts a
  set acknowledged = true, acknowledged_at = coalesce(a.acknowledged_at, now()),
    acknowledged_by = acknowledge_alert.by, acknowledge_note = coalesce(acknowledge_alert.note, a.acknowledge_note)
  where a.id = acknowledge_alert.alert_id and a.status = 'firing';
  return found;
end
$$;

-- Nobody is told of the alerts that match (label -> value, "rule" for the rule, {} for everything) for a while. They are
-- recorded all the same. Returns the silence's id.
create or replace function public.silence_alerts(matchers jsonb, for_interval interval, reason text, by text)
  returns bigint language plpgsql as $$
declare
  made bigint;
begin
  if for_interval is null or for_interval <= interval '0' or for_interval > interval '90 days' then
    raise exception 'a silence lasts up to 90 days, not %', for_interval using errcode = '22023';
  end if;
  insert into nowcast.alert_silences (matchers, ends_at, reason, created_by)
  values (coalesce(silence_alerts.matchers, '{}'), now() + for_interval, coalesce(silence_alerts.reason, ''),
    coalesce(silence_alerts.by, ''))
  returning id into made;
  perform nowcast.refresh_silenced();
  return made;
end
$$;

-- False when there is no such silence, or it is over.
create or replace function public.end_silence(id bigint) returns boolean
  language plpgsql as $$
begin
  update nowcast.alert_silences s set ended_at = now()
  where s.id = end_silence.id and s.ended_at is null and s.ends_at > now();
  if not found then
    return false;
  end if;
  perform nowcast.refresh_silenced();
  return true;
end
$$;
