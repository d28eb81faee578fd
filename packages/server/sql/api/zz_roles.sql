-- Roles under which the REST door reads, one a scope: should its parser have a hole, PostgreSQL itself still shows nothing
-- but what is published (packages/server/src/deliver/published.ts; restRoles.test.ts compares the two). Nobody can log in
-- as them. They are named after the owner, since roles belong to the whole cluster and databases of other owners in it
-- must not share them. Where the owner may not make roles there are none, and the server says so when it starts.
create or replace function nowcast.rest_role(scope text) returns text
  language sql stable as $$ select left(format('nowcast_%s_of_%s', scope, current_user), 63) $$;

do $$
declare
  scope text;
  role text;
  published record;
  internal record;
begin
  foreach scope in array array['anon', 'service'] loop
    role := nowcast.rest_role(scope);
    begin
      if to_regrole(quote_ident(role)) is null then
        execute format('create role %I nologin noinherit', role);
      end if;
      -- SET ROLE needs membership; before PostgreSQL 16 whoever makes a role does not get it, and later not its use.
      if not pg_has_role(current_user, role, 'member')
        or current_setting('server_version_num')::integer >= 160000
          and not (select rolsuper from pg_roles where rolname = current_user) then
        execute format('grant %I to current_user', role);
      end if;
    exception when insufficient_privilege or duplicate_object or unique_violation then
      -- Not ours to use; or made by another database's migration at this moment, and then usable.
      continue when to_regrole(quote_ident(role)) is null;
    end;

    -- What was published by an earlier version and is not any more goes.
    execute format('revoke all on all tables in schema public, nowcast from %I', role);
    execute format('grant usage on schema public, nowcast to %I', role);
    for published in
      select v.relation, string_agg(quote_ident(a.attname), ', ') as columns
      from (values
        ('inference_logs', 'anon', array['user_id', 'metadata', 'error_message'], '{}'::text[]),
        ('system_alerts', 'anon', '{explanation,acknowledged_by,acknowledge_note}', '{}'),
        ('inference_metrics_hourly', 'anon', '{}', '{}'),
        ('daily_metrics_summary', 'anon', '{}', '{}'),
        ('daily_metrics_trend', 'anon', '{}', '{}'),
        ('weekly_metrics_trend', 'anon', '{}', '{}'),
        ('monthly_metrics_trend', 'anon', '{}', '{}'),
        ('metrics_pulse', 'anon', '{}', '{}'),
        ('metrics_hour_totals', 'anon', '{}', '{}'),
        ('pipeline_status', 'anon', '{}', '{}'),
        ('alert_rules', 'anon', '{}', '{}'),
        ('incidents', 'anon', '{acknowledged_by}', '{}'),
        ('incident_timeline', 'anon', '{who,note}', '{}'),
        ('alert_silences', 'anon', '{reason,created_by}', '{}'),
        ('alert_channels', 'service', '{}', '{secrets}'),
        ('sampling_keep', 'anon', '{value,reason}', '{}')
      ) v (relation, opened_to, personal, secret)
      join pg_class c on c.relname = v.relation and c.relnamespace = 'public'::regnamespace
      join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
        and a.attname <> all (v.secret) and (scope = 'service' or a.attname <> all (v.personal))
      where scope = 'service' or v.opened_to = 'anon'
      group by v.relation
    loop
      execute format('grant select (%s) on public.%I to %I', published.columns, published.relation, role);
    end loop;

    -- The figures behind views and functions, which run with their caller's rights. Tables that may hold a secret are
    -- left out, and from the rest what may be personal.
    for internal in
      select c.relname, string_agg(quote_ident(a.attname), ', ')
          filter (where scope = 'service' or a.attname not in ('user_id', 'metadata', 'error_message')) as columns
      from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
      where c.relnamespace = 'nowcast'::regnamespace and c.relkind in ('r', 'p', 'v', 'm') and not c.relispartition
        and c.relname not in ('keys', 'batches', 'feed') and c.relname not like 'alert\_%'
      group by c.relname
      having not bool_or(a.attname in (
        'hash', 'token', 'secret', 'password', 'url', 'target', 'headers', 'config', 'payload', 'body'))
    loop
      if internal.columns is not null then
        execute format('grant select (%s) on nowcast.%I to %I', internal.columns, internal.relname, role);
      end if;
    end loop;
  end loop;
end
$$;
