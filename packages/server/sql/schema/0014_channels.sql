-- Where news of alerts goes. Beside these there are channels of the environment and of the configuration file, which
-- stand in no table.
create table public.alert_channels (
  name text primary key check (name ~ '^[a-z][a-z0-9_-]{0,62}$'),
  kind text not null,
  enabled boolean not null default true,
  min_severity text not null default 'warning' check (min_severity in ('warning', 'critical')),
  matchers jsonb not null default '{}' check (jsonb_typeof(matchers) = 'object'), -- as of silences: {} takes everything
  config jsonb not null default '{}' check (jsonb_typeof(config) = 'object'),
  secrets jsonb not null default '{}' check (jsonb_typeof(secrets) = 'object'), -- written by people, read by the server alone
  updated_at timestamptz not null default now()
);

-- How each channel fares, over all servers; also of those that stand in no table.
create table nowcast.alert_channel_states (
  channel text primary key,
  first_seen_at timestamptz not null default now(), -- what ended before is no news
  sent bigint not null default 0,
  failed bigint not null default 0, -- attempts
  refused bigint not null default 0,
  expired bigint not null default 0,
  consecutive_failures integer not null default 0,
  paused_until timestamptz,
  last_delivered_at timestamptz,
  last_error text,
  last_error_at timestamptz
);

-- What each channel was told of each incident, or of a single piece of news (a test, a digest).
create table nowcast.alert_deliveries (
  id bigint generated always as identity primary key,
  channel text not null,
  incident_id bigint references nowcast.incidents on delete cascade,
  outbox_id bigint references nowcast.alert_outbox on delete cascade,
  created_at timestamptz not null default now(),
  revision integer not null default 0, -- counts changes: whoever decided on an older one decides anew
  told text not null default 'nothing' check (told in ('nothing', 'firing', 'resolved')),
  told_severity text,
  told_alerts integer not null default 0,
  told_hash text, -- of the last content
  told_at timestamptz, -- of the last message, an edit included
  notified_at timestamptz, -- of the last message that makes a noise
  reference jsonb, -- how the channel finds its message again
  owes text, -- the step that was tried and has not succeeded
  attempts integer not null default 0, -- of that step
  due_at timestamptz not null default now(),
  claimed_until timestamptz,
  outcome_unknown boolean not null default false, -- the last attempt may have succeeded
  refused_by text, -- the configuration that the channel refused for good
  last_error text,
  last_error_at timestamptz,
  done boolean not null default false,
  check ((incident_id is null) <> (outbox_id is null)),
  unique (channel, incident_id),
  unique (channel, outbox_id)
);
-- Serves each look for what is to be delivered.
create index alert_deliveries_open on nowcast.alert_deliveries (channel) where not done;

-- What was delivered: of an incident a line of its timeline.
create table nowcast.alert_messages (
  id bigint generated always as identity primary key,
  delivery_id bigint not null,
  incident_id bigint,
  channel text not null,
  step text not null,
  late boolean not null default false,
  attempts integer not null,
  sent_at timestamptz not null default now()
);
-- Serves the timeline of an incident.
create index alert_messages_incident on nowcast.alert_messages (incident_id);

-- Serves the incidents that ended lately.
create index incidents_closed on nowcast.incidents (closed_at) where closed_at is not null;
