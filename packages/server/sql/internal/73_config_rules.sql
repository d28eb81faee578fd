-- Rules of the configuration file: it owns those that it names, and what it no longer names is as if it never had.

-- Writes one rule of the file. What it leaves out is as in the default of that name, or as the table has it.
create or replace function nowcast.put_config_rule(given jsonb) returns void
  language plpgsql as $$
declare
  base constant jsonb := coalesce(
    (select to_jsonb(d) from nowcast.default_alert_rules d where d.name = given ->> 'name'),
    '{"condition": {}, "severity": "warning", "min_events": 0, "for_seconds": 0, "keep_firing_seconds": 300,
      "repeat_interval_seconds": 3600, "enabled": true}');
begin
  insert into public.alert_rules (name, kind, condition, severity, min_events, for_seconds, keep_firing_seconds,
    repeat_interval_seconds, enabled, source)
  select r.name, r.kind, r.condition, r.severity, r.min_events, r.for_seconds, r.keep_firing_seconds,
    r.repeat_interval_seconds, r.enabled, 'config'
  from jsonb_populate_record(null::public.alert_rules, base || given) r
  on conflict (name) do update set kind = excluded.kind, condition = excluded.condition, severity = excluded.severity,
    min_events = excluded.min_events, for_seconds = excluded.for_seconds,
    keep_firing_seconds = excluded.keep_firing_seconds, repeat_interval_seconds = excluded.repeat_interval_seconds,
    enabled = excluded.enabled, source = excluded.source;
end
$$;

-- Takes out what the file no longer names; a default comes back. Returns how many went.
create or replace function nowcast.drop_config_rules(kept text[]) returns integer
  language plpgsql as $$
declare
  gone text[];
begin
  with deleted as (
    delete from public.alert_rules r where r.source = 'config' and not r.name = any (kept) returning r.name
  )
  select coalesce(array_agg(name), '{}') into gone from deleted;
  perform set_config('nowcast.installs_rules', 'on', true);
  insert into public.alert_rules (name, kind, condition, severity, min_events, for_seconds, keep_firing_seconds,
    repeat_interval_seconds, enabled, source)
  select d.name, d.kind, d.condition, d.severity, d.min_events, d.for_seconds, d.keep_firing_seconds,
    d.repeat_interval_seconds, d.enabled, 'default'
  from nowcast.default_alert_rules d where d.name = any (gone);
  perform set_config('nowcast.installs_rules', '', true);
  return cardinality(gone);
end
$$;
