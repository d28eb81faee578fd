-- The article's check: an inference above five seconds and above three times the model's average of the last
-- five minutes. The average comes from summaries that were committed before, so neither the event nor its batch is
-- in it, and no row is scanned.

create or replace function nowcast.recent_latency_avg_ms(model text) returns double precision
  language sql stable as $$
  select sum(latency_sum_ms) / nullif(sum(request_count), 0)
  from (
    select s.latency_sum_ms, s.request_count from nowcast.model_summaries s
    where s.tier_seconds = 60 and s.model_version = model
      and s.minute > now() - interval '5 minutes' and s.minute <= now()
    union all
    select p.latency_sum_ms, p.request_count from nowcast.summary_partials p
    where p.model_version = model and p.minute > now() - interval '5 minutes' and p.minute <= now()
  ) recent
$$;

-- Fires for slow rows only (WHEN below). What it learnt of a model is kept for the transaction in a setting, so a
-- batch of 10,000 slow events looks up the average once a model and writes one alert.
create or replace function nowcast.check_latency() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  memo text := current_setting('nowcast.latency_memo', true);
  -- Milliseconds above which the model's events violate; infinity once it is dealt with or cannot be judged.
  threshold double precision;
  learnt boolean := false;
  message text;
  metadata jsonb;
  postponed jsonb;
begin
  if memo <> '' then
    threshold := memo::jsonb ->> new.model_version;
  end if;
  if threshold is null then
    -- A model without history cannot be judged.
    threshold := coalesce(nowcast.recent_latency_avg_ms(new.model_version) * 3, 'infinity');
    learnt := true;
  end if;
  if new.inference_time_ms > threshold then
    if not exists (
      select from public.system_alerts a
      where a.rule = 'high_latency' and a.status = 'firing'
        and a.labels = jsonb_build_object('model_version', new.model_version)
    ) then
      message := format('Inference latency spike: %sms (avg: %sms)',
        round(new.inference_time_ms::numeric, 2), round((threshold / 3)::numeric, 2));
      metadata := jsonb_build_object('model_version', new.model_version, 'inference_time_ms', new.inference_time_ms,
        'recent_avg_ms', threshold / 3);
      -- Events wait for no alerts: while others are being grouped, the alert is raised a few seconds later.
      if pg_try_advisory_xact_lock(nowcast.incident_lock()) then
        insert into public.system_alerts (severity, alert_type, message, metadata, rule, labels)
        values ('warning', 'high_latency', message, metadata,
          'high_latency', jsonb_build_object('model_version', new.model_version))
        on conflict (rule, labels) where status = 'firing' do nothing;
      else
        postponed := jsonb_build_object('message', message, 'metadata', metadata);
      end if;
    end if;
    insert into nowcast.latency_violations (model_version, postponed) values (new.model_version, postponed);
    threshold := 'infinity';
    learnt := true;
  end if;
  -- The memo is bounded: of further models the average is simply looked up each time.
  if learnt and length(coalesce(memo, '')) < 10000 then
    perform set_config('nowcast.latency_memo',
      (coalesce(nullif(memo, ''), '{}')::jsonb || jsonb_build_object(new.model_version, threshold))::text, true);
  end if;
  return null;
end
$$;

-- Raises the alerts that waited for the grouping of others. Returns how many.
create or replace function nowcast.raise_postponed_alerts() returns integer
  language sql as $$
  with postponed as (
    delete from nowcast.latency_violations v where v.postponed is not null returning v.*
  ),
  violated as (
    insert into nowcast.latency_violations (model_version, violated_at)
    select p.model_version, p.violated_at from postponed p
  ),
  raised as (
    insert into public.system_alerts (timestamp, severity, alert_type, message, metadata, rule, labels)
    select distinct on (p.model_version) p.violated_at, 'warning', 'high_latency', p.postponed ->> 'message',
      p.postponed -> 'metadata', 'high_latency', jsonb_build_object('model_version', p.model_version)
    from postponed p order by p.model_version, p.violated_at
    on conflict (rule, labels) where status = 'firing' do nothing
    returning 1
  )
  select count(*)::integer from raised
$$;

-- Resolves the alerts of models without a violating event for five minutes. Returns how many.
create or replace function nowcast.resolve_latency_alerts() returns integer
  language sql as $$
  with resolved as (
    update public.system_alerts a
    set status = 'resolved', resolved_at = now(), acknowledged = true
    where a.rule = 'high_latency' and a.status = 'firing'
      and a.timestamp < now() - interval '5 minutes'
      and not exists (
        select from nowcast.latency_violations v
        where v.model_version = a.labels ->> 'model_version' and v.violated_at > now() - interval '5 minutes'
      )
    returning 1
  ),
  forgotten as (delete from nowcast.latency_violations where violated_at < now() - interval '10 minutes')
  select count(*)::integer from resolved
$$;

create or replace trigger check_latency after insert on public.inference_logs
  for each row when (new.inference_time_ms > 5000) execute function nowcast.check_latency();
