-- Delivery of news: which channel owes what to whom (packages/server/src/alert/outbox). Everything here is idempotent or
-- guarded by a delivery's revision, so that any number of servers may run it at the same time.

-- News older than this is not delivered any more: it is counted as expired.
create or replace function nowcast.news_lifetime() returns interval
  language sql immutable parallel safe as $$ select interval '24 hours' $$;

-- Makes the deliveries that are missing for these channels: [{name, min_severity, matchers}].
create or replace function nowcast.spread_news(channels jsonb) returns void
  language sql set search_path = pg_catalog, pg_temp as $$
  insert into nowcast.alert_channel_states (channel)
  select c ->> 'name' from jsonb_array_elements(channels) c
  on conflict do nothing;

  with c as (
    select * from jsonb_to_recordset(channels) c (name text, min_severity text, matchers jsonb)
    join nowcast.alert_channel_states s on s.channel = c.name
  ),
  candidates as (
    select c.*, i.id from c join nowcast.incidents i on i.closed_at is null
    union all
    select c.*, i.id from c join nowcast.incidents i
      on i.closed_at > greatest(c.first_seen_at, now() - nowcast.news_lifetime())
  )
  insert into nowcast.alert_deliveries (channel, incident_id)
  select c.name, c.id from candidates c
  where not exists (select from nowcast.alert_deliveries d where d.channel = c.name and d.incident_id = c.id)
    and exists (
      select from public.system_alerts a
      where a.incident_id = c.id and (c.min_severity = 'warning' or a.severity = 'critical')
        and (c.matchers = '{}' or nowcast.matches_alert(c.matchers, a.rule, a.labels))
    )
  on conflict do nothing;

  insert into nowcast.alert_deliveries (channel, outbox_id)
  select c.name, o.id
  from jsonb_to_recordset(channels) c (name text)
  join nowcast.alert_channel_states s on s.channel = c.name
  -- A channel that is made and tested within a minute hears of its test.
  join nowcast.alert_outbox o on o.incident_id is null
    and o.created_at > greatest(s.first_seen_at - interval '1 minute', now() - nowcast.news_lifetime())
    and coalesce(o.labels ->> 'channel', c.name) = c.name
  where not exists (select from nowcast.alert_deliveries d where d.channel = c.name and d.outbox_id = o.id)
  on conflict do nothing;
$$;

-- What is to be known of incidents in order to decide what to tell: how they stand, and their gravest alerts.
create or replace function nowcast.incident_standing(incidents bigint[]) returns table (
  id bigint, opened_at timestamptz, closed_at timestamptz, severity text, title text, models jsonb, rules jsonb,
  alert_count integer, open_count integer, acknowledged boolean, acknowledged_by text, silenced boolean,
  repeat_interval_seconds integer, alerts jsonb
) language sql stable set search_path = pg_catalog, pg_temp as $$
  select i.id, i.opened_at, i.closed_at, i.severity, i.title, coalesce(i.summary -> 'models', '[]'),
    coalesce(i.summary -> 'rules', '[]'), s.alerts, s.open, coalesce(s.acknowledged, false), s.acknowledged_by,
    coalesce(s.silenced, false), coalesce(s.repeat_interval_seconds, 3600), t.alerts
  from nowcast.incidents i
  cross join lateral (
    select count(*)::integer as alerts, (count(*) filter (where a.status = 'firing'))::integer as open,
      bool_and(coalesce(a.acknowledged, false)) filter (where a.status = 'firing') as acknowledged,
      max(a.acknowledged_by) as acknowledged_by,
      -- Of what is over, as it was at its end.
      bool_and(a.silenced) filter (where a.status = 'firing' or i.closed_at is not null) as silenced,
      min(r.repeat_interval_seconds) filter (where a.severity = i.severity) as repeat_interval_seconds
    from public.system_alerts a left join public.alert_rules r on r.name = a.rule
    where a.incident_id = i.id
  ) s
  cross join lateral (
    select coalesce(jsonb_agg(to_jsonb(a) order by a.severity, a.id), '[]') as alerts
    from (
      -- 'critical' sorts before 'warning'.
      select a.id, a.rule, a.alert_type, a.severity, a.message, a.labels, a.metadata, a.timestamp, a.status, a.resolved_at,
        a.explanation, r.kind as rule_kind
      from public.system_alerts a left join public.alert_rules r on r.name = a.rule
      where a.incident_id = i.id order by a.severity, a.id limit 8
    ) a
  ) t
  where i.id = any (incidents) and s.alerts > 0
$$;

-- Takes a delivery in hand for a while: nothing when another server has it, or it is not as it was when we decided.
create or replace function nowcast.claim_delivery(delivery bigint, at_revision integer, step text, lease interval)
  returns table (revision integer, attempts integer, outcome_unknown boolean) language sql as $$
  with found as (
    select d.id from nowcast.alert_deliveries d
    where d.id = delivery and d.revision = at_revision and not d.done
      and (d.claimed_until is null or d.claimed_until < now())
    for update skip locked
  )
  update nowcast.alert_deliveries d
  set claimed_until = now() + lease, revision = d.revision + 1, owes = step,
    attempts = case when d.owes = step then d.attempts + 1 else 1 end,
    -- Whoever had it last never said what became of it.
    outcome_unknown = (d.outcome_unknown or d.claimed_until is not null) and d.owes is not distinct from step
  from found where d.id = found.id
  returning d.revision, d.attempts, d.outcome_unknown
$$;

-- Writes down that a channel has taken the message. False when the lease had ended and somebody else took over.
create or replace function nowcast.delivered(delivery bigint, at_revision integer, outcome jsonb) returns boolean
  language plpgsql as $$
declare
  was nowcast.alert_deliveries;
begin
  select * into was from nowcast.alert_deliveries d where d.id = delivery and d.revision = at_revision for update;
  if not found then
    return false;
  end if;
  update nowcast.alert_deliveries d
  set told = outcome ->> 'told', told_severity = outcome ->> 'severity', told_alerts = (outcome ->> 'alerts')::integer,
    told_hash = outcome ->> 'hash', told_at = now(),
    notified_at = case when was.owes = 'update' then d.notified_at else now() end,
    reference = coalesce(outcome -> 'reference', d.reference), owes = null, attempts = 0, due_at = now(),
    claimed_until = null, outcome_unknown = false, refused_by = null, last_error = null, last_error_at = null,
    done = (outcome ->> 'done')::boolean, revision = d.revision + 1
  where d.id = delivery;
  insert into nowcast.alert_messages (delivery_id, incident_id, channel, step, late, attempts)
  values (delivery, was.incident_id, was.channel, was.owes, coalesce((outcome ->> 'late')::boolean, false), was.attempts);
  update nowcast.alert_channel_states c
  set sent = c.sent + 1, consecutive_failures = 0, paused_until = null, last_delivered_at = now()
  where c.channel = was.channel;
  return true;
end
$$;

-- Writes down that it has not; `refused_by` is the configuration under which trying again is no use.
create or replace function nowcast.not_delivered(delivery bigint, at_revision integer, error text, retry_in interval,
  pause interval, maybe_delivered boolean, refused_by text) returns void
  language plpgsql as $$
declare
  of_channel text;
begin
  update nowcast.alert_deliveries d
  set claimed_until = null, revision = d.revision + 1, due_at = now() + coalesce(retry_in, '0'),
    last_error = not_delivered.error, last_error_at = now(), outcome_unknown = d.outcome_unknown or maybe_delivered,
    refused_by = not_delivered.refused_by
  where d.id = delivery and d.revision = at_revision
  returning d.channel into of_channel;
  update nowcast.alert_channel_states c
  set failed = c.failed + 1, refused = c.refused + (not_delivered.refused_by is not null)::integer,
    consecutive_failures = c.consecutive_failures + 1, last_error = not_delivered.error, last_error_at = now(),
    paused_until = now() + pause
  where c.channel = of_channel;
end
$$;

-- Closes deliveries that nobody will make any more: what was silenced to its end, and, counted, what is too old.
create or replace function nowcast.give_up_delivery(delivery bigint, at_revision integer, expired boolean) returns void
  language sql as $$
  with closed as (
    update nowcast.alert_deliveries d set done = true, owes = null, revision = d.revision + 1
    where d.id = delivery and d.revision = at_revision returning d.channel
  )
  update nowcast.alert_channel_states c set expired = c.expired + expired::integer
  from closed where c.channel = closed.channel
$$;

-- What changes what is to be told.
create or replace trigger wake_delivery after update of acknowledged, silenced, explanation on public.system_alerts
  for each statement execute function nowcast.wake_outbox();
create or replace trigger wake_delivery after insert or update or delete on public.alert_channels
  for each statement execute function nowcast.wake_outbox();

-- Writes down how a test of a channel went; null: it arrived.
create or replace function nowcast.channel_tested(of_channel text, error text) returns void
  language sql as $$
  insert into nowcast.alert_channel_states as c (channel, sent, failed, consecutive_failures, last_delivered_at,
    last_error, last_error_at)
  values (of_channel, (error is null)::integer, (error is not null)::integer, (error is not null)::integer,
    case when error is null then now() end, error, case when error is not null then now() end)
  on conflict (channel) do update
  set sent = c.sent + excluded.sent, failed = c.failed + excluded.failed,
    consecutive_failures = case when error is null then 0 else c.consecutive_failures + 1 end,
    -- Whoever tests a channel thinks that it works again: what waits is tried at once.
    paused_until = case when error is null then null else c.paused_until end,
    last_delivered_at = coalesce(excluded.last_delivered_at, c.last_delivered_at),
    last_error = coalesce(excluded.last_error, c.last_error),
    last_error_at = coalesce(excluded.last_error_at, c.last_error_at)
$$;

-- Takes a digest in hand once a key, however many servers make it. True when it was this call.
create or replace function nowcast.enqueue_digest(key text, payload jsonb) returns boolean
  language plpgsql as $$
begin
  perform pg_advisory_xact_lock(nowcast.incident_lock());
  insert into nowcast.alert_outbox (kind, severity, labels, payload)
  select 'digest', 'warning', jsonb_build_object('digest', key), enqueue_digest.payload
  where not exists (
    select from nowcast.alert_outbox o where o.incident_id is null and o.kind = 'digest' and o.labels ->> 'digest' = key
  );
  return found;
end
$$;

-- What fired, a row a rule: for the digest. `bad_seconds` is how long it was bad, without the calm that its end waits for;
-- `returned` counts those that came back within half an hour of their end.
create or replace function nowcast.fired_rules(since timestamptz, until timestamptz) returns table (
  rule text, fired integer, acknowledged integer, median_bad_seconds double precision, returned integer,
  median_pause_seconds double precision, for_seconds integer, keep_firing_seconds integer
) language sql stable set search_path = pg_catalog, pg_temp as $$
  select coalesce(a.rule, a.alert_type), count(*)::integer,
    (count(*) filter (where a.acknowledged_at is not null))::integer,
    percentile_cont(0.5) within group (order by greatest(0,
      extract(epoch from coalesce(a.resolved_at, until) - a.timestamp) - coalesce(r.keep_firing_seconds, 0))::double precision),
    (count(*) filter (where a.pause <= interval '30 minutes'))::integer,
    percentile_cont(0.5) within group (order by extract(epoch from a.pause)::double precision)
      filter (where a.pause <= interval '30 minutes'),
    max(r.for_seconds), max(r.keep_firing_seconds)
  from (
    select a.*, a.timestamp - lag(a.resolved_at) over (partition by a.rule, a.labels order by a.id) as pause
    from public.system_alerts a where a.timestamp >= since and a.timestamp < until
  ) a left join public.alert_rules r on r.name = a.rule
  group by 1 order by 2 desc, 1
$$;

-- What is wrong with a channel of the table in one sentence, or null. Values of secrets are not repeated.
create or replace function nowcast.broken_channel(channel public.alert_channels) returns text
  language sql immutable as $$
  select case
    when channel.kind not in ('slack', 'webhook', 'email', 'pagerduty', 'discord', 'teams')
      then format('kind must be one of slack, webhook, email, pagerduty, discord, teams, not "%s"', channel.kind)
    when n.missing is not null then format('a channel of kind %s needs %s', channel.kind, n.missing)
  end
  from (select channel.config || channel.secrets as given) g
  cross join lateral (select case channel.kind
    when 'slack' then case when not (g.given ? 'url' or g.given ?& array['token', 'channel']) then 'url, or token and channel' end
    when 'email' then case when not g.given ?& array['url', 'to', 'from'] then 'url, to and from' end
    when 'pagerduty' then case when not g.given ? 'routing_key' then 'routing_key' end
    else case when not g.given ? 'url' then 'url' end
  end as missing) n
$$;

-- Whoever writes a channel may put everything into `config`: what is secret goes where nobody reads it.
create or replace function nowcast.channel_written() returns trigger
  language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
declare
  hidden constant text[] := array['url', 'token', 'signing_secret', 'routing_key'];
  broken text;
begin
  new.secrets := new.secrets || coalesce(
    (select jsonb_object_agg(f.key, f.value) from jsonb_each(new.config) f where f.key = any (hidden)), '{}');
  new.config := new.config - hidden;
  new.updated_at := now();
  broken := nowcast.broken_channel(new);
  if broken is not null then
    raise exception 'alert channel %: %', new.name, broken using errcode = 'check_violation', schema = 'public',
      table = 'alert_channels';
  end if;
  return new;
end
$$;
create or replace trigger channel_written before insert or update on public.alert_channels
  for each row execute function nowcast.channel_written();
