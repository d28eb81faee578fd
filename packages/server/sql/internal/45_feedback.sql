-- Feedback finds the events of its trace. The triggers on UPDATE mark their minutes for recomputation and tell
-- subscribers.

-- Writes feedback into the newest thousand events of a trace and returns how many there were: a trace id that stands in
-- every event must not rewrite the table. Null leaves what is stored.
create or replace function nowcast.apply_feedback(trace text, quality double precision, thumb integer)
  returns integer language sql set lock_timeout = '1s' as $$
  with found as (
    select l.timestamp, l.id from public.inference_logs l where l.trace_id = trace
    order by l.timestamp desc limit 1000
  ),
  changed as (
    update public.inference_logs l
    set quality_score = coalesce(quality, l.quality_score), feedback = coalesce(thumb::smallint, l.feedback)
    from found f where l.timestamp = f.timestamp and l.id = f.id
    returning 1
  )
  select count(*)::integer from changed
$$;

-- As apply_feedback; what matches nothing yet waits for its event. Returns null, and keeps nothing, when ten thousand wait.
create or replace function nowcast.log_feedback(trace text, quality double precision, thumb integer)
  returns integer language plpgsql as $$
declare
  matched constant integer := nowcast.apply_feedback(trace, quality, thumb);
begin
  if matched = 0 then
    if (select count(*) from nowcast.pending_feedback) >= 10000 then
      return null;
    end if;
    insert into nowcast.pending_feedback (trace_id, quality_score, feedback) values (trace, quality, thumb);
  end if;
  return matched;
end
$$;

-- Applies what waited for its event, in the order in which it came, and forgets what waited for ten minutes. Returns how
-- much still waits. Several servers may do this at once. Looked for in two or three days only: ten thousand traces in
-- thirty partitions each second would keep a core busy.
create or replace function nowcast.apply_pending_feedback() returns bigint
  language plpgsql as $$
declare
  waiting record;
begin
  for waiting in
    select p.ctid, p.* from nowcast.pending_feedback p
    where exists (
      select from public.inference_logs l
      where l.trace_id = p.trace_id and l.timestamp > p.received_at - interval '1 day'
    )
    order by p.received_at limit 1000 for update of p skip locked
  loop
    perform nowcast.apply_feedback(waiting.trace_id, waiting.quality_score, waiting.feedback);
    delete from nowcast.pending_feedback where ctid = waiting.ctid;
  end loop;
  delete from nowcast.pending_feedback where received_at < now() - interval '10 minutes';
  return (select count(*) from nowcast.pending_feedback);
end
$$;
