-- Alerts: incidents, acknowledgements, silences, the outbox. Whoever inserts an alert, by SQL, REST, the latency check or
-- the engine, passes here, so that alert, incident and outbox row share one transaction.

-- Serialises the grouping of alerts into incidents over all servers.
create or replace function nowcast.incident_lock() returns bigint
  language sql immutable parallel safe as $$ select 7021850139404::bigint $$;

-- Whether matchers name this alert: each label equal to the value, or to one of a list; "rule" is the rule; none name
-- everything.
create or replace function nowcast.matches_alert(matchers jsonb, rule text, labels jsonb) returns boolean
  language sql immutable set search_path = pg_catalog, pg_temp as $$
  select not exists (
    select from jsonb_each(matchers) m
    cross join lateral (select case when m.key = 'rule' then rule else labels ->> m.key end as value) actual
    where case when jsonb_typeof(m.value) = 'array' then not coalesce(m.value ? actual.value, false)
      else m.value #>> '{}' is distinct from actual.value end
  )
$$;

create or replace function nowcast.is_silenced(rule text, labels jsonb) returns boolean
  language sql stable set search_path = pg_catalog, pg_temp as $$
  select exists (
    select from nowcast.alert_silences s
    where s.starts_at <= now() and s.ends_at > now() and s.ended_at is null
      and nowcast.matches_alert(s.matchers, rule, labels)
  )
$$;

-- Silences begin and end by the clock. Returns how many open alerts changed.
create or replace function nowcast.refresh_silenced() returns integer
  language plpgsql as $$
declare
  changed integer;
begin
  update public.system_alerts a set silenced = not a.silenced
  -- Without a silence, ten thousand alerts need not be asked one by one.
  from (select exists (
    select from nowcast.alert_silences s where s.starts_at <= now() and s.ends_at > now() and s.ended_at is null
  ) as found) silence
  where a.status = 'firing' and a.silenced <> (silence.found and nowcast.is_silenced(a.rule, a.labels));
  get diagnostics changed = row_count;
  return changed;
end
$$;

-- Adds to a list of names, up to a hundred: an incident of ten thousand alerts is told by its first ones.
create or replace function nowcast.with_names(names jsonb, added text[]) returns jsonb
  language sql immutable set search_path = pg_catalog, pg_temp as $$
  select coalesce(jsonb_agg(n.name order by n.place), '[]') from (
    select e.name, min(e.place) as place from (
      select name, place - 1000000000 as place from jsonb_array_elements_text(coalesce(names, '[]')) with ordinality n (name, place)
      union all
      select name, place from unnest(added) with ordinality a (name, place)
    ) e where e.name is not null group by e.name order by 2 limit 100
  ) n
$$;

-- An alert's message is a sentence; a title is a phrase, which "(and 2 more)" may follow.
create or replace function nowcast.as_title(message text) returns text
  language sql immutable parallel safe set search_path = pg_catalog, pg_temp as $$
  select regexp_replace(message, '([^.])\.\s*$', '\1')
$$;

drop function if exists nowcast.summarise_incident(bigint);

-- Gives a new alert its incident: the open one that shares its model, or that something joined in the last two minutes,
-- within a quarter of an hour of its beginning; else a new one. The row itself is not there yet, so what is said of the
-- incident is brought up to date after it (alert_joined).
create or replace function nowcast.alert_begins() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  is_off boolean;
  is_open boolean;
  found bigint;
begin
  if new.status <> 'firing' or new.incident_id is not null then
    return new;
  end if;
  perform pg_advisory_xact_lock(nowcast.incident_lock());
  -- In one query: of ten thousand alerts at once most of the time goes here.
  select
    exists (select from public.alert_rules r where r.name = new.rule and not r.enabled),
    exists (select from public.system_alerts a
      where a.rule = new.rule and a.labels = new.labels and a.status = 'firing'),
    exists (select from nowcast.alert_silences s
      where s.starts_at <= now() and s.ends_at > now() and s.ended_at is null
        and nowcast.matches_alert(s.matchers, new.rule, new.labels)),
    (select i.id from nowcast.incidents i
      where i.closed_at is null and (
        i.summary -> 'models' ? (new.labels ->> 'model_version')
        or (i.summary ->> 'last_joined_at')::timestamptz > now() - interval '2 minutes'
          and i.opened_at > now() - interval '15 minutes'
      )
      order by (i.summary -> 'models' ? (new.labels ->> 'model_version')) desc nulls last, i.id desc limit 1)
  into is_off, is_open, new.silenced, found;
  -- A rule that is switched off stays silent, whoever checks it.
  if is_off then
    return null;
  end if;
  -- ON CONFLICT is about to drop it.
  if is_open then
    return new;
  end if;
  new.last_seen_at := coalesce(new.last_seen_at, new.timestamp);
  if found is null then
    -- What the next row of the same statement looks for.
    insert into nowcast.incidents (severity, title, summary)
    values (new.severity, nowcast.as_title(new.message), jsonb_build_object('last_joined_at', now(),
      'models', nowcast.with_names(null, array[new.labels ->> 'model_version'])))
    returning id into found;
  end if;
  new.incident_id := found;
  return new;
end
$$;

-- News of beginnings: the incident's first alert, or one that makes it graver, is 'firing'; the others 'update' it. Once a
-- statement, and counted on instead of anew: ten thousand alerts at once change their incident once, and of those that join
-- it the first hundred are news.
create or replace function nowcast.alert_joined() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  before nowcast.incidents;
  had boolean;
begin
  for before in
    select i.* from nowcast.incidents i
    where i.id in (select a.incident_id from added a where a.status = 'firing') order by i.id for no key update
  loop
    had := before.summary ? 'alerts';
    insert into nowcast.alert_outbox (incident_id, alert_id, kind, severity, labels, payload)
    select a.incident_id, a.id,
      case when a.place = 1 and not had or a.graver then 'firing' else 'update' end,
      a.severity, a.labels || jsonb_strip_nulls(jsonb_build_object('rule', a.rule)),
      jsonb_build_object('message', a.message, 'alert_type', a.alert_type, 'rule', a.rule,
        'began_at', a.timestamp, 'escalated', had or a.place > 1)
    from (
      select a.*, row_number() over by_id as place,
        a.severity = 'critical' and not (had and before.severity = 'critical')
          and count(*) filter (where a.severity = 'critical') over by_id = 1 as graver
      from added a where a.incident_id = before.id and a.status = 'firing'
      window by_id as (order by a.id)
    ) a where a.place <= 100 or a.graver order by a.id;

    update nowcast.incidents i
    set severity = n.severity,
      title = nowcast.as_title(n.lead) || case when n.alerts > 1 then format(' (and %s more)', n.alerts - 1) else '' end,
      summary = i.summary || jsonb_build_object('last_joined_at', now(), 'alerts', n.alerts, 'lead', n.lead,
        'models', n.models, 'rules', n.rules)
    from (
      select case when bool_or(a.severity = 'critical') then 'critical' else before.severity end as severity,
        coalesce((before.summary ->> 'alerts')::integer, 0) + count(*)::integer as alerts,
        -- Its words are those of its gravest, oldest alert.
        case
          when had and (before.severity = 'critical' or not bool_or(a.severity = 'critical'))
            then coalesce(before.summary ->> 'lead', before.title)
          else (array_agg(a.message order by a.severity, a.id))[1] -- 'critical' sorts before 'warning'
        end as lead,
        nowcast.with_names(before.summary -> 'models', array_agg(a.labels ->> 'model_version' order by a.id)) as models,
        nowcast.with_names(before.summary -> 'rules', array_agg(coalesce(a.rule, a.alert_type) order by a.id)) as rules
      from added a where a.incident_id = before.id and a.status = 'firing'
    ) n
    where i.id = before.id;
  end loop;
  return null;
end
$$;

-- Who acknowledged, and what resolving brings with it: the article's panel shows `acknowledged = false`.
create or replace function nowcast.alert_changes() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if new.status = 'resolved' and old.status = 'firing' then
    new.resolved_at := coalesce(new.resolved_at, now());
    new.acknowledged := true;
  elsif new.acknowledged and not coalesce(old.acknowledged, false) then
    new.acknowledged_at := coalesce(new.acknowledged_at, now());
  end if;
  return new;
end
$$;

-- The end of an incident is the end of its last alert.
create or replace function nowcast.alert_ended() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  ended bigint[];
begin
  if tg_op = 'UPDATE' then
    select array_agg(distinct o.incident_id) into ended from old_rows o join new_rows n using (id)
    where o.status = 'firing' and n.status <> 'firing' and o.incident_id is not null;
  else
    select array_agg(distinct o.incident_id) into ended from old_rows o where o.status = 'firing' and o.incident_id is not null;
  end if;
  if ended is null then
    return null;
  end if;
  perform pg_advisory_xact_lock(nowcast.incident_lock());
  with closed as (
    update nowcast.incidents i set closed_at = now()
    where i.id = any (ended) and i.closed_at is null
      and not exists (select from public.system_alerts a where a.incident_id = i.id and a.status = 'firing')
    returning i.*
  )
  insert into nowcast.alert_outbox (incident_id, alert_id, kind, severity, labels, payload)
  select i.id, o.id, 'resolved', i.severity, o.labels || jsonb_strip_nulls(jsonb_build_object('rule', o.rule)),
    jsonb_build_object('message', i.title,
      'duration_seconds', round(extract(epoch from i.closed_at - i.opened_at)::numeric, 1))
  from closed i
  cross join lateral (
    select o.* from old_rows o where o.incident_id = i.id and o.status = 'firing' order by o.id desc limit 1
  ) o;
  return null;
end
$$;

create or replace trigger alert_begins before insert on public.system_alerts
  for each row execute function nowcast.alert_begins();
drop trigger if exists alert_joined on public.system_alerts;
create trigger alert_joined after insert on public.system_alerts
  referencing new table as added for each statement execute function nowcast.alert_joined();
create or replace trigger alert_changes before update on public.system_alerts
  for each row when (old.status = 'firing') execute function nowcast.alert_changes();
drop trigger if exists alert_ended on public.system_alerts;
create trigger alert_ended after update on public.system_alerts
  referencing old table as old_rows new table as new_rows for each statement execute function nowcast.alert_ended();
drop trigger if exists alert_deleted on public.system_alerts;
create trigger alert_deleted after delete on public.system_alerts
  referencing old table as old_rows for each statement execute function nowcast.alert_ended();

create or replace function nowcast.wake_outbox() returns trigger
  language plpgsql as $$
begin
  perform pg_notify('nowcast_outbox', '');
  return null;
end
$$;
create or replace trigger wake_outbox after insert on nowcast.alert_outbox
  for each statement execute function nowcast.wake_outbox();
