-- Rules of alerts: what may be written into alert_rules, its history, and the defaults.

-- What the conditions of each kind may hold. `low` and `high` bound numbers.
create or replace view nowcast.alert_rule_fields as
  select * from (values
    ('error_burn', 'long_seconds', 'number', true, 300, 2592000),
    ('error_burn', 'short_seconds', 'number', true, 60, 259200),
    ('error_burn', 'burn_rate', 'number', true, 0.1, 1000),
    ('error_burn', 'objective', 'number', false, 0.5, 0.99999),
    ('error_failure', 'p_value', 'number', false, 1e-15, 0.01),
    ('error_failure', 'windows_seconds', 'list', false, 1, 300),
    ('error_failure', 'min_error_rate', 'number', false, 0, 1),
    ('latency', 'factor', 'number', false, 1.01, 1000),
    ('latency', 'min_difference_ms', 'number', false, 0, 1e9),
    ('latency', 'window_seconds', 'number', false, 60, 3600),
    ('metric_drop', 'metric', 'confidence quality', true, null, null),
    ('metric_drop', 'min_relative_change', 'number', false, 0.001, 1),
    ('metric_drop', 'window_seconds', 'number', false, 60, 3600),
    ('traffic_stopped', 'min_silence_seconds', 'number', false, 10, 86400),
    ('traffic_stopped', 'expected_events', 'number', false, 5, 1e9),
    ('traffic_collapsed', 'remaining_share', 'number', false, 0.01, 0.95),
    ('traffic_collapsed', 'expected_events', 'number', false, 20, 1e9),
    ('client_silent', 'min_silence_seconds', 'number', false, 60, 86400),
    ('client_silent', 'expected_events', 'number', false, 20, 1e9),
    ('anomaly', 'metrics', 'series', false, null, null),
    ('anomaly', 'budget', 'budget', false, null, null),
    ('anomaly', 'min_relative_change', 'number', false, 0, 10),
    ('threshold', 'metric', 'requests_per_minute error_rate_pct avg_latency_ms p50_latency_ms p95_latency_ms p99_latency_ms avg_confidence avg_quality tokens_per_request cost_usd_per_hour', true, null, null),
    ('threshold', 'comparator', '> >= < <=', true, null, null),
    ('threshold', 'value', 'number', true, -1e15, 1e15),
    ('threshold', 'window_seconds', 'number', false, 60, 3600)
  ) f (kind, key, type, required, low, high);

drop function if exists nowcast.judged_rule_kinds();

-- Says what is wrong with a rule in one sentence, or null.
create or replace function nowcast.broken_alert_rule(rule public.alert_rules) returns text
  language plpgsql stable as $$
declare
  kinds constant text[] := (select array_agg(distinct f.kind order by f.kind) from nowcast.alert_rule_fields f)
    || array['event_latency', 'monitor'];
  series constant text[] := array['requests', 'error_rate', 'p95_latency_ms', 'confidence', 'tokens'];
  field record;
  given jsonb;
  strange text;
begin
  if not rule.kind = any (kinds) then
    return format('kind must be one of %s, not "%s"', array_to_string(kinds, ', '), rule.kind);
  end if;
  if jsonb_typeof(rule.condition) <> 'object' then
    return 'condition must be a JSON object';
  end if;
  select k into strange from jsonb_object_keys(rule.condition) k
  where k <> 'model_version' and k not in (select f.key from nowcast.alert_rule_fields f where f.kind = rule.kind)
  order by k limit 1;
  if strange is not null then
    return format('condition of kind %s has no "%s"; it may hold %s', rule.kind, strange, (
      select string_agg(f.key, ', ') from (
        select f.key from nowcast.alert_rule_fields f where f.kind = rule.kind union all select 'model_version') f));
  end if;
  if rule.condition ? 'model_version' and jsonb_typeof(rule.condition -> 'model_version') <> 'string' then
    return 'condition.model_version must be a text';
  end if;
  for field in select * from nowcast.alert_rule_fields f where f.kind = rule.kind loop
    given := rule.condition -> field.key;
    if given is null or given = 'null' then
      if field.required then
        return format('condition of kind %s needs "%s"', rule.kind, field.key);
      end if;
    elsif field.type = 'number' then
      if jsonb_typeof(given) <> 'number' or not given::numeric between field.low::numeric and field.high::numeric then
        return format('condition.%s must be a number from %s to %s, not %s', field.key, field.low, field.high, given);
      end if;
    elsif field.type = 'list' then
      if jsonb_typeof(given) <> 'array' or jsonb_array_length(given) not between 1 and 5 or exists (
        select from jsonb_array_elements(given) e
        where case when jsonb_typeof(e) = 'number' then e::numeric not between field.low::numeric and field.high::numeric
          else true end) then
        return format('condition.%s must be one to five numbers from %s to %s, not %s', field.key, field.low, field.high,
          given);
      end if;
    elsif field.type = 'series' then
      if jsonb_typeof(given) <> 'array' or exists (
        select from jsonb_array_elements(given) e where not coalesce(e #>> '{}' = any (series), false)) then
        return format('condition.%s must be a list of %s, not %s', field.key, array_to_string(series, ', '), given);
      end if;
    elsif field.type = 'budget' then
      -- As process/detect/budget.ts reads it.
      if jsonb_typeof(given) <> 'string' or given #>> '{}' !~* ('^\s*(\d+(\.\d+)?|an?|one|once|twice|two|three|four|five|ten)'
        || '(\s+(false\s+)?alarms?)?\s+(per|an?|each|every|in\s+an?)\s+(\d+(\.\d+)?\s+)?'
        || '(hour|day|week|month|quarter|year)s?\s*$') then
        return format('condition.%s must be a number of false alarms in words, such as "1 per month", not %s', field.key,
          given);
      end if;
    elsif not coalesce(given #>> '{}' = any (string_to_array(field.type, ' ')), false) then
      return format('condition.%s must be one of %s, not %s', field.key, field.type, given);
    end if;
  end loop;
  if rule.kind = 'error_burn'
    and (rule.condition ->> 'short_seconds')::numeric >= (rule.condition ->> 'long_seconds')::numeric then
    return 'condition.short_seconds must be less than condition.long_seconds';
  end if;
  return null;
end
$$;

-- Refuses broken rules, counts versions; a default that somebody edits is theirs from then on.
create or replace function nowcast.alert_rule_changes() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  broken constant text := nowcast.broken_alert_rule(new);
  installs constant boolean := coalesce(current_setting('nowcast.installs_rules', true), '') = 'on';
begin
  if broken is not null then
    raise exception 'alert rule %: %', new.name, broken
      using errcode = 'check_violation', schema = 'public', table = 'alert_rules';
  end if;
  if tg_op = 'INSERT' then
    if new.source = 'default' and not installs then
      new.source := 'user';
    end if;
    new.version := 1 + coalesce((select max(v.version) from nowcast.alert_rule_versions v where v.name = new.name), 0);
  elsif (to_jsonb(new) - '{version,source,updated_at}'::text[]) = (to_jsonb(old) - '{version,source,updated_at}'::text[]) then
    new.version := old.version;
    return new;
  else
    if new.name <> old.name then
      raise exception 'alert rule %: a rule keeps its name; insert another one', old.name using errcode = 'check_violation';
    end if;
    new.version := old.version + 1;
    if not installs and new.source = 'default' then
      new.source := 'user';
    end if;
  end if;
  new.updated_at := now();
  return new;
end
$$;
create or replace trigger alert_rule_changes before insert or update on public.alert_rules
  for each row execute function nowcast.alert_rule_changes();

create or replace function nowcast.alert_rule_changed() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if tg_op = 'DELETE' then
    insert into nowcast.alert_rule_versions (name, version, rule)
    select old.name, max(v.version) + 1, null from nowcast.alert_rule_versions v where v.name = old.name
    having max(v.version) is not null;
  elsif tg_op = 'INSERT' or new.version <> old.version then
    insert into nowcast.alert_rule_versions (name, version, rule) values (new.name, new.version, to_jsonb(new))
    on conflict do nothing;
  end if;
  return null;
end
$$;
create or replace trigger alert_rule_changed after insert or update or delete on public.alert_rules
  for each row execute function nowcast.alert_rule_changed();

-- The defaults; docs/detection.md gives their reasons.
create or replace view nowcast.default_alert_rules as
  select d.name, d.kind, d.condition::jsonb as condition, d.severity, d.min_events, d.for_seconds,
    d.keep_firing_seconds, d.repeat_interval_seconds, true as enabled
  from (values
    ('high_latency', 'event_latency', '{}', 'warning', 0, 0, 300, 14400),
    ('error_failure', 'error_failure', '{}', 'critical', 5, 0, 300, 3600),
    ('error_burn_fast', 'error_burn', '{"long_seconds": 3600, "short_seconds": 300, "burn_rate": 14.4}', 'critical',
      10, 0, 300, 3600),
    ('error_burn_slow', 'error_burn', '{"long_seconds": 21600, "short_seconds": 1800, "burn_rate": 6}', 'critical',
      10, 0, 300, 3600),
    ('error_burn_lasting', 'error_burn', '{"long_seconds": 259200, "short_seconds": 21600, "burn_rate": 1}', 'warning',
      20, 0, 1800, 86400),
    ('latency_p95', 'latency', '{"factor": 2, "min_difference_ms": 100, "window_seconds": 300}', 'warning',
      200, 60, 300, 14400),
    ('confidence_drop', 'metric_drop', '{"metric": "confidence", "min_relative_change": 0.1, "window_seconds": 900}',
      'warning', 100, 60, 600, 14400),
    ('quality_drop', 'metric_drop', '{"metric": "quality", "min_relative_change": 0.1, "window_seconds": 900}',
      'warning', 50, 60, 600, 14400),
    ('traffic_stopped', 'traffic_stopped', '{"min_silence_seconds": 60, "expected_events": 30}', 'critical',
      0, 0, 60, 3600),
    ('traffic_collapsed', 'traffic_collapsed', '{"remaining_share": 0.2, "expected_events": 100}', 'warning',
      0, 60, 300, 14400),
    ('client_silent', 'client_silent', '{"min_silence_seconds": 300, "expected_events": 50}', 'warning',
      0, 0, 60, 14400),
    ('monitor_broken', 'monitor', '{}', 'critical', 0, 15, 60, 3600),
    ('anomaly', 'anomaly', '{"budget": "1 per month", "min_relative_change": 0.1}', 'warning', 20, 0, 300, 14400)
  ) d (name, kind, condition, severity, min_events, for_seconds, keep_firing_seconds, repeat_interval_seconds);

-- An edited default is left alone, a deleted one stays deleted.
do $$
begin
  perform set_config('nowcast.installs_rules', 'on', true);
  insert into public.alert_rules as r
    (name, kind, condition, severity, min_events, for_seconds, keep_firing_seconds, repeat_interval_seconds, source)
  select d.name, d.kind, d.condition, d.severity, d.min_events, d.for_seconds, d.keep_firing_seconds,
    d.repeat_interval_seconds, 'default'
  from nowcast.default_alert_rules d
  where not exists (
    select from nowcast.alert_rule_versions v
    where v.name = d.name and not exists (select from public.alert_rules r where r.name = d.name)
  )
  on conflict (name) do update set kind = excluded.kind, condition = excluded.condition, severity = excluded.severity,
    min_events = excluded.min_events, for_seconds = excluded.for_seconds,
    keep_firing_seconds = excluded.keep_firing_seconds, repeat_interval_seconds = excluded.repeat_interval_seconds
  where r.source = 'default';
  perform set_config('nowcast.installs_rules', '', true);
end
$$;
