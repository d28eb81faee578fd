-- Incidents, silences and what happened, for whoever looks at alerts.

create or replace view public.incidents as
select i.id, i.opened_at, i.closed_at, i.severity, i.title,
  coalesce(i.summary -> 'models', '[]') as models,
  coalesce(i.summary -> 'rules', '[]') as rules,
  coalesce((i.summary ->> 'alerts')::integer, 0) as alert_count,
  coalesce(a.acknowledged, false) as acknowledged,
  a.acknowledged_by,
  i.closed_at is null and coalesce(a.silenced, false) as silenced
from nowcast.incidents i
left join lateral (
  -- The end acknowledges too, so of what is over only the time tells whether somebody did.
  select case when i.closed_at is null then bool_and(a.acknowledged) filter (where a.status = 'firing')
      else bool_or(a.acknowledged_at is not null) end as acknowledged,
    bool_and(a.silenced) filter (where a.status = 'firing') as silenced,
    (array_agg(a.acknowledged_by order by a.acknowledged_at desc nulls last)
      filter (where a.acknowledged_by is not null))[1] as acknowledged_by
  from public.system_alerts a where a.incident_id = i.id
) a on true;

create or replace view public.alert_silences as
select s.id, s.matchers, s.reason, s.created_by, s.kind, s.starts_at, s.ends_at, s.ended_at from nowcast.alert_silences s;

-- What happened to an incident, and who was told. `kind`: began, joined, acknowledged, silenced, unsilenced, sent, failing,
-- refused, resolved, closed. `note` is what people or channels said.
create or replace view public.incident_timeline as
select a.incident_id, a.timestamp as at,
  case when row_number() over (partition by a.incident_id order by a.id) = 1 then 'began' else 'joined' end as kind,
  a.message as text, a.id as alert_id, null::text as channel, null::text as who, null::text as note
from public.system_alerts a where a.incident_id is not null
union all
select a.incident_id, a.acknowledged_at, 'acknowledged',
  a.message, a.id, null, a.acknowledged_by, a.acknowledge_note
from public.system_alerts a where a.incident_id is not null and a.acknowledged_at is not null
union all
select a.incident_id, a.resolved_at, 'resolved', a.message, a.id, null, null, null
from public.system_alerts a where a.incident_id is not null and a.resolved_at is not null
union all
select i.id, i.closed_at, 'closed',
  case when coalesce((i.summary ->> 'alerts')::integer, 1) > 1 then 'Everything of this incident is over' else 'Over' end,
  null, null, null, null
from nowcast.incidents i where i.closed_at is not null
union all
select i.id, case when side.kind = 'silenced' then greatest(s.starts_at, i.opened_at) else coalesce(s.ended_at, s.ends_at) end,
  side.kind,
  case when side.kind = 'silenced'
    then format('Silenced until %s UTC: %s', to_char(s.ends_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI'), named.what)
    else format('The silence ended: %s', named.what) end,
  null, null, nullif(s.created_by, ''), nullif(s.reason, '')
from nowcast.incidents i
join nowcast.alert_silences s on s.starts_at < coalesce(i.closed_at, now())
  and coalesce(s.ended_at, s.ends_at) > i.opened_at
  and exists (select from public.system_alerts a
    where a.incident_id = i.id and nowcast.matches_alert(s.matchers, a.rule, a.labels))
cross join lateral (
  select coalesce(string_agg(format('%s %s', m.key, m.value #>> '{}'), ', ' order by m.key), 'everything') as what
  from jsonb_each(s.matchers) m
) named
join (values ('silenced'), ('unsilenced')) side (kind)
  on side.kind = 'silenced' or coalesce(s.ended_at, s.ends_at) <= least(coalesce(i.closed_at, now()), now())
union all
select m.incident_id, m.sent_at, 'sent',
  format('%s%s', case m.step when 'firing' then 'Told that it fires' when 'resolved' then 'Told that it is over'
    when 'late' then 'Told that it fired and is over' when 'repeat' then 'Told again' when 'escalated' then 'Told that it is worse'
    else 'Brought up to date' end, case when m.late then ', late' else '' end),
  null, m.channel, null, null
from nowcast.alert_messages m where m.incident_id is not null
union all
select d.incident_id, d.last_error_at, case when d.refused_by is null then 'failing' else 'refused' end,
  case when d.refused_by is null then 'Could not be told yet' else 'Refused the message' end, null, d.channel, null,
  d.last_error
from nowcast.alert_deliveries d
where d.incident_id is not null and d.owes is not null and d.last_error_at is not null;

-- Somebody takes a whole incident in hand. Returns how many of its open alerts were not acknowledged before.
create or replace function public.acknowledge_incident(incident_id bigint, by text, note text default null) returns integer
  language sql as $$
  -- One statement, so that of ten thousand alerts each trigger runs once.
  with taken as (
    update public.system_alerts a
    set acknowledged = true, acknowledged_at = coalesce(a.acknowledged_at, now()),
      acknowledged_by = acknowledge_incident.by,
      acknowledge_note = coalesce(acknowledge_incident.note, a.acknowledge_note)
    where a.incident_id = acknowledge_incident.incident_id and a.status = 'firing' and not coalesce(a.acknowledged, false)
    returning 1
  )
  select count(*)::integer from taken
$$;

-- A silence that is known beforehand: a deployment, a migration. Returns its id; end_silence ends it early.
create or replace function public.maintenance_window(starts_at timestamptz, ends_at timestamptz, matchers jsonb default '{}',
  reason text default '', by text default '') returns bigint
  language plpgsql as $$
declare
  made bigint;
begin
  if maintenance_window.ends_at is null or maintenance_window.starts_at is null
    or maintenance_window.ends_at <= maintenance_window.starts_at then
    raise exception 'a maintenance window ends after it starts, not at % after %', maintenance_window.ends_at,
      maintenance_window.starts_at using errcode = '22023';
  end if;
  if maintenance_window.ends_at <= now() then
    raise exception 'this maintenance window is over already: it ended at %', maintenance_window.ends_at
      using errcode = '22023';
  end if;
  if maintenance_window.ends_at - maintenance_window.starts_at > interval '90 days' then
    raise exception 'a maintenance window lasts up to 90 days' using errcode = '22023';
  end if;
  if jsonb_typeof(maintenance_window.matchers) is distinct from 'object' then
    raise exception 'matchers must be a JSON object of label and value' using errcode = '22023';
  end if;
  insert into nowcast.alert_silences (matchers, starts_at, ends_at, reason, created_by, kind)
  values (maintenance_window.matchers, maintenance_window.starts_at, maintenance_window.ends_at,
    coalesce(maintenance_window.reason, ''), coalesce(maintenance_window.by, ''), 'maintenance')
  returning alert_silences.id into made;
  perform nowcast.refresh_silenced();
  return made;
end
$$;
