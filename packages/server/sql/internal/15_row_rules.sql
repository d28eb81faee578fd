-- What summaries rely on in a row. Bounds keep sums finite and refuse NaN, which would poison every sum: one overflow would
-- stop the compactor for good. They are those of HTTP (packages/protocol/src/fields.ts); integer columns hold their own.
-- The keys stand in index entries. Returns the broken rule, null when all is well.
create or replace function nowcast.broken_rule(log public.inference_logs) returns text
  language sql immutable as $$
  select case
    when not (log.inference_time_ms >= 0 and log.inference_time_ms <= 1e9)
      then 'inference_time_ms must lie between 0 and 1e9'
    when not (log.confidence_score >= 0 and log.confidence_score <= 1)
      then 'confidence_score must lie between 0 and 1'
    when not (log.quality_score >= 0 and log.quality_score <= 1)
      then 'quality_score must lie between 0 and 1'
    when not (log.feedback between -1 and 1)
      then 'feedback must be -1, 0 or 1'
    when not (log.cost_usd >= 0 and log.cost_usd <= 1e9)
      then 'cost_usd must lie between 0 and 1e9'
    when not (log.value_usd >= -1e9 and log.value_usd <= 1e9)
      then 'value_usd must lie between -1e9 and 1e9'
    when not (log.compute_ms >= 0 and log.compute_ms <= 1e9)
      then 'compute_ms must lie between 0 and 1e9'
    when not (log.ttft_ms >= 0 and log.ttft_ms <= 1e9)
      then 'ttft_ms must lie between 0 and 1e9'
    when not (length(log.model_version) between 1 and 200)
      then 'model_version must have 1 to 200 characters'
    when not (length(log.feature) <= 200 and length(log.variant) <= 200)
      then 'feature and variant must have at most 200 characters'
    when not (log.sample_weight >= 1 and log.sample_weight <= 1e9)
      then 'sample_weight must lie between 1 and 1e9'
  end
$$;

create or replace function nowcast.refuse_broken_rows() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  broken text;
begin
  select nowcast.broken_rule(n) into broken from new_rows n where nowcast.broken_rule(n) is not null limit 1;
  if broken is not null then
    raise exception '%', broken using errcode = 'check_violation', schema = 'public', table = 'inference_logs';
  end if;
  return null;
end
$$;

-- Their names come first in the alphabet: triggers of a kind fire in that order.
create or replace trigger check_inserted after insert on public.inference_logs
  referencing new table as new_rows for each statement execute function nowcast.refuse_broken_rows();
create or replace trigger check_updated after update on public.inference_logs
  referencing new table as new_rows for each statement execute function nowcast.refuse_broken_rows();
