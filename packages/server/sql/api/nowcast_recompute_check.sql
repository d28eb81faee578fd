-- Each stored summary since a time that differs from recomputation: minutes (with what the compactor has not taken
-- yet) from their rows and from what was counted and not kept, buckets of models from their minutes. No row when all is well. After UPDATE or DELETE of
-- rows the recomputation follows within a second or two. Buckets that begin before `since`, or
-- whose minutes were given up, are not looked at.
create or replace function public.nowcast_recompute_check(since timestamptz default now() - interval '1 hour')
  returns table (
    summary text, minute timestamptz, model_version text, feature text, variant text, stored jsonb, recomputed jsonb
  )
  language sql stable as $$
  select c.summary, c.minute, c.model_version, c.feature, c.variant, to_jsonb(c.stored), to_jsonb(c.recomputed)
  from nowcast.compare_summaries(greatest(date_bin('1 minute', since, timestamptz '2000-01-01 00:00:00+00'),
    (select max(p.until) from nowcast.pruned_tiers p where p.tier in ('minutes', 'unkept')))) c
  where nowcast.summaries_differ(c.stored, c.recomputed)
$$;
