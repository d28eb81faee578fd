-- What counts as trouble. The defaults come with the functions (internal/70_alerts.sql); whoever changes one owns it.
create table public.alert_rules (
  name text primary key check (name ~ '^[a-z][a-z0-9_]{0,62}$'),
  kind text not null,
  condition jsonb not null default '{}',
  severity text not null default 'warning' check (severity in ('warning', 'critical')),
  min_events integer not null default 0 check (min_events >= 0), -- fewer events (of errors: bad ones) judge nothing
  for_seconds integer not null default 0 check (for_seconds between 0 and 86400), -- must hold so long before it fires
  keep_firing_seconds integer not null default 300 check (keep_firing_seconds between 0 and 86400), -- calm before the end
  repeat_interval_seconds integer not null default 3600 check (repeat_interval_seconds >= 60),
  enabled boolean not null default true,
  version integer not null default 1,
  source text not null default 'user' check (source in ('default', 'config', 'user')),
  updated_at timestamptz not null default now()
);

create table nowcast.alert_rule_versions (
  name text not null,
  version integer not null,
  rule jsonb, -- null: deleted
  changed_at timestamptz not null default now(),
  primary key (name, version)
);

-- Alerts that begin together are one piece of news.
create table nowcast.incidents (
  id bigint generated always as identity primary key,
  opened_at timestamptz not null default now(),
  closed_at timestamptz,
  severity text not null check (severity in ('warning', 'critical')),
  title text not null,
  summary jsonb not null default '{}' -- models, rules, alerts, last_joined_at
);
-- Serves the search for the incident that a new alert belongs to.
create index incidents_open on nowcast.incidents (opened_at) where closed_at is null;

alter table public.system_alerts
  add column incident_id bigint references nowcast.incidents,
  add column acknowledged_at timestamptz,
  add column acknowledged_by text,
  add column explanation jsonb,
  add column silenced boolean not null default false,
  add column last_seen_at timestamptz;
-- Serves "the alerts of this incident".
create index system_alerts_incident on public.system_alerts (incident_id);

-- Where each rule stands for each set of labels; what is inactive has no row.
create table nowcast.alert_states (
  rule text not null,
  labels jsonb not null,
  state text not null check (state in ('pending', 'firing', 'resolving', 'resolved')),
  since timestamptz not null,
  alert_id integer,
  flaps integer not null default 0,
  detail jsonb not null default '{}',
  primary key (rule, labels)
);

-- What detectors have learnt, a row a series.
create table nowcast.detector_states (
  series text primary key,
  state jsonb not null,
  updated_at timestamptz not null default now()
) with (fillfactor = 50);

-- News for people, written in the transaction that made it.
create table nowcast.alert_outbox (
  id bigint generated always as identity primary key,
  incident_id bigint references nowcast.incidents,
  alert_id integer,
  kind text not null check (kind in ('firing', 'resolved', 'update', 'repeat', 'test', 'digest', 'self')),
  severity text not null,
  labels jsonb not null default '{}',
  payload jsonb not null default '{}',
  created_at timestamptz not null default now()
);
-- Serves "what was said of this incident".
create index alert_outbox_incident on nowcast.alert_outbox (incident_id);

create table nowcast.alert_silences (
  id bigint generated always as identity primary key,
  matchers jsonb not null check (jsonb_typeof(matchers) = 'object'), -- label -> value; "rule" is the rule; {} everything
  reason text not null default '',
  created_by text not null default '',
  kind text not null default 'silence' check (kind in ('silence', 'maintenance')),
  starts_at timestamptz not null default now(),
  ends_at timestamptz not null,
  ended_at timestamptz,
  check (ends_at > starts_at)
);
