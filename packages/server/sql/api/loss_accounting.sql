-- What became of the events of each sender since a time, to the minute: sent = stored + sampled_out + duplicate +
-- rejected + dropped. `dropped` is what the sender itself reports to have dropped. `reasons` counts the rejected and the
-- dropped by reason, and what was answered 429 or 503 ("refused: ..."): the sender kept that, and it counts as sent when
-- it comes again. The last row, with sender null, adds everybody up.
create or replace function public.loss_accounting(since timestamptz default now() - interval '24 hours')
  returns table (
    sender text, sent bigint, stored bigint, sampled_out bigint, duplicate bigint, rejected bigint, dropped bigint,
    reasons jsonb
  )
  language sql stable as $$
  with counts as materialized (
    select c.sender, c.fate, c.reason, sum(c.events)::bigint as events
    from (
      select m.sender, m.fate, m.reason, m.events from nowcast.loss_minutes m
      where m.minute >= date_bin('1 minute', since, timestamptz '2000-01-01 00:00:00+00')
      union all
      select p.sender, p.fate, p.reason, p.events from nowcast.loss_partials p
      where p.minute >= date_bin('1 minute', since, timestamptz '2000-01-01 00:00:00+00')
    ) c
    group by grouping sets ((c.sender, c.fate, c.reason), (c.fate, c.reason))
  )
  select c.sender,
    coalesce(sum(c.events) filter (where c.fate <> 'refused'), 0)::bigint,
    coalesce(sum(c.events) filter (where c.fate = 'stored'), 0)::bigint,
    coalesce(sum(c.events) filter (where c.fate = 'sampled_out'), 0)::bigint,
    coalesce(sum(c.events) filter (where c.fate = 'duplicate'), 0)::bigint,
    coalesce(sum(c.events) filter (where c.fate = 'rejected'), 0)::bigint,
    coalesce(sum(c.events) filter (where c.fate = 'dropped'), 0)::bigint,
    coalesce(
      jsonb_object_agg(c.fate || ': ' || c.reason, c.events)
        filter (where c.fate in ('rejected', 'dropped', 'refused')), '{}')
  from counts c
  group by c.sender
  order by c.sender nulls last
$$;
