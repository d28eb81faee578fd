-- What the engine of the rules reads and writes: see src/alert/.

-- Takes or keeps the lease. `held` says whether it is ours now; the rest is what the holder before left behind.
create or replace function nowcast.hold_engine(
  server uuid, lease_seconds double precision, watched_from timestamptz, looked timestamptz,
  out held boolean, out watched_since timestamptz, out looked_at timestamptz
) language plpgsql as $$
begin
  select l.watched_since, l.looked_at into watched_since, looked_at from nowcast.engine_lease l;
  insert into nowcast.engine_lease as l (holder, held_until, watched_since, looked_at)
  values (server, clock_timestamp() + make_interval(secs => lease_seconds), watched_from, looked)
  on conflict (one) do update set holder = excluded.holder, held_until = excluded.held_until,
    watched_since = excluded.watched_since, looked_at = excluded.looked_at
  where l.holder = server or l.held_until < clock_timestamp();
  held := found;
end
$$;

-- One row a minute and model with what adds up: what is compacted and what is not, in one snapshot. No row of events and
-- no histogram is read. Quantiles are those of the compacted part, times all its requests.
create or replace function nowcast.recent_totals(since timestamptz, until timestamptz, most integer)
  returns table (
    model_version text, at_ms double precision, requests double precision, errors double precision,
    latency_sum_ms double precision, p50_sum_ms double precision, p95_sum_ms double precision,
    p99_sum_ms double precision, confidence_count double precision, confidence_sum double precision,
    confidence_sum_sq double precision, quality_count double precision, quality_sum double precision,
    quality_sum_sq double precision, tokens double precision, cost_usd double precision
  ) language sql stable as $$
  select s.model_version, extract(epoch from s.minute)::double precision * 1000,
    sum(s.request_count)::double precision, sum(s.error_count)::double precision, sum(s.latency_sum_ms),
    coalesce(max(s.p50), 0) * sum(s.request_count)::double precision,
    coalesce(max(s.p95), 0) * sum(s.request_count)::double precision,
    coalesce(max(s.p99), 0) * sum(s.request_count)::double precision,
    sum(s.confidence_count)::double precision, coalesce(sum(s.confidence_sum), 0), coalesce(sum(s.confidence_sum_sq), 0),
    sum(s.quality_count)::double precision, coalesce(sum(s.quality_sum), 0), coalesce(sum(s.quality_sum_sq), 0),
    (coalesce(sum(s.input_tokens_sum), 0) + coalesce(sum(s.output_tokens_sum), 0))::double precision,
    coalesce(sum(s.cost_usd_sum), 0)
  from (
    select m.minute, m.model_version, m.request_count, m.error_count, m.latency_sum_ms, m.p50_latency_ms as p50,
      m.p95_latency_ms as p95, m.p99_latency_ms as p99, m.confidence_count, m.confidence_sum, m.confidence_sum_sq,
      m.quality_count, m.quality_sum, m.quality_sum_sq, m.input_tokens_sum, m.output_tokens_sum, m.cost_usd_sum
    from nowcast.model_summaries m
    where m.tier_seconds = 60 and m.minute >= since and m.minute < until
    union all
    select p.minute, p.model_version, p.request_count, p.error_count, p.latency_sum_ms, null, null, null,
      p.confidence_count, p.confidence_sum, p.confidence_sum_sq, p.quality_count, p.quality_sum, p.quality_sum_sq,
      p.input_tokens_sum, p.output_tokens_sum, p.cost_usd_sum
    from nowcast.summary_partials p
    where p.minute >= since and p.minute < until
  ) s
  group by s.minute, s.model_version
  order by sum(s.request_count) desc
  limit most
$$;

-- The same from the models' longer buckets, for what is known when an engine begins.
create or replace function nowcast.past_totals(tier integer, since timestamptz, until timestamptz, most integer)
  returns table (
    model_version text, at_ms double precision, requests double precision, errors double precision,
    latency_sum_ms double precision, p50_sum_ms double precision, p95_sum_ms double precision,
    p99_sum_ms double precision, confidence_count double precision, confidence_sum double precision,
    confidence_sum_sq double precision, quality_count double precision, quality_sum double precision,
    quality_sum_sq double precision, tokens double precision, cost_usd double precision
  ) language sql stable as $$
  select m.model_version, extract(epoch from m.minute)::double precision * 1000, m.request_count::double precision,
    m.error_count::double precision, m.latency_sum_ms, m.p50_latency_ms * m.request_count,
    m.p95_latency_ms * m.request_count, m.p99_latency_ms * m.request_count, m.confidence_count::double precision,
    coalesce(m.confidence_sum, 0), coalesce(m.confidence_sum_sq, 0), m.quality_count::double precision,
    coalesce(m.quality_sum, 0), coalesce(m.quality_sum_sq, 0),
    (coalesce(m.input_tokens_sum, 0) + coalesce(m.output_tokens_sum, 0))::double precision, coalesce(m.cost_usd_sum, 0)
  from nowcast.model_summaries m
  where m.tier_seconds = tier and m.minute >= since and m.minute < until
  order by m.request_count desc
  limit most
$$;

-- Events that arrived, by sender and bucket.
create or replace function nowcast.sender_totals(bucket interval, since timestamptz, until timestamptz, most integer)
  returns table (sender text, at_ms double precision, requests double precision) language sql stable as $$
  select s.sender, extract(epoch from date_bin(bucket, s.minute, timestamptz '2000-01-01 00:00:00+00'))::double precision
    * 1000, sum(s.events)::double precision
  from (
    select m.sender, m.minute, m.events from nowcast.loss_minutes m
    where m.minute >= since and m.minute < until and m.fate = 'stored'
    union all
    select p.sender, p.minute, p.events from nowcast.loss_partials p
    where p.minute >= since and p.minute < until and p.fate = 'stored'
  ) s
  group by 1, 2
  order by 3 desc
  limit most
$$;

-- Opens an alert, or finds the one that is open already. Null when a trigger dropped it: its rule was just switched off.
create or replace function nowcast.open_alert(
  rule text, labels jsonb, severity text, alert_type text, message text, metadata jsonb, explanation jsonb
) returns integer language plpgsql as $$
#variable_conflict use_column
declare
  opened integer;
begin
  insert into public.system_alerts as a (rule, labels, severity, alert_type, message, metadata, explanation)
  values (rule, labels, severity, alert_type, message, metadata, explanation)
  on conflict (rule, labels) where status = 'firing' do nothing returning a.id into opened;
  if opened is null then
    select a.id into opened from public.system_alerts a
    where a.rule = open_alert.rule and a.labels = open_alert.labels and a.status = 'firing';
  end if;
  return opened;
end
$$;
