-- Sampling: the summary of what was not kept, and what the doors know of ordinary and unusual events.

select nowcast.add_summary_columns('nowcast.unkept_partials'), nowcast.add_summary_columns('nowcast.unkept_minutes');

do $build$
declare
  content constant text := nowcast.summary_columns();
  keyed_content constant text := 'minute, model_version, feature, variant, ' || content;
begin
  -- Adds the appended summaries of unkept events up, under the compactor's lock, in one statement as nowcast.gather does,
  -- by the keys that their minutes keep. That is decided when the summary of all events that was committed with one is
  -- gathered; until then it waits.
  execute format($function$
    create or replace function nowcast.fold_unkept(max_partials integer default 20000) returns integer
      language plpgsql set enable_sort = off as $body$
    declare
      taken_count integer;
    begin
      if not pg_try_advisory_xact_lock(nowcast.compaction_lock()) then
        return -1;
      end if;
      with taken as materialized (
        delete from nowcast.unkept_partials
        where ctid = any (array(
          select p.ctid from nowcast.unkept_partials p
          where (p.minute, p.model_version, p.feature, p.variant) not in (
            select s.minute, s.model_version, s.feature, s.variant from nowcast.summary_partials s
          )
          limit max_partials
        ))
        returning *
      ),
      capped as materialized (%5$s),
      touched as (select distinct minute, model_version, feature, variant from capped),
      key_rows as materialized (
        select %1$s from capped
        union all
        select %1$s from nowcast.unkept_minutes join touched using (minute, model_version, feature, variant)
      ),
      stored as (
        insert into nowcast.unkept_minutes (%1$s)
        select %1$s from (%2$s) merged
        on conflict (minute, model_version, feature, variant) do update set (%3$s) = (%4$s)
      )
      select count(*) into taken_count from taken;
      return taken_count;
    end
    $body$
  $function$, keyed_content, nowcast.merge_query('key_rows', 'minute', 'model_version', 'feature', 'variant'),
    content, nowcast.summary_columns('excluded.'),
    nowcast.capped_query('taken', nowcast.summary_columns('s.')));

  -- The 99th percentile of each model's latency in the last hour, in milliseconds: what lies above is unusual.
  execute format($function$
    create or replace function nowcast.recent_p99()
      returns table (model_version text, p99_latency_ms double precision) language sql stable as $body$
      with parts as materialized (
        select s.model_version, %1$s
        from nowcast.model_buckets(300, date_bin('5 minutes', now() - interval '1 hour', timestamptz '2000-01-01 00:00:00+00'), 'infinity') s
      )
      select m.model_version, q.quantiles[1]
      from (%2$s) m,
        nowcast.latency_quantiles(m.latency_bins, m.latency_bin_counts, array[0.99],
          m.latency_min_ms, m.latency_max_ms) q (quantiles)
    $body$
  $function$, nowcast.summary_columns('s.'), nowcast.merge_query('parts', 'model_version'));
end
$build$;

-- The summary of unkept events is needed as long as rows of its day are here. Gives up one day of it at a time; minutes
-- before stay as they are, whatever happens to rows that come back from the archive. Returns the rows deleted.
create or replace function nowcast.prune_unkept(minute_days integer) returns bigint
  language plpgsql as $$
declare
  doomed date;
  deleted bigint;
begin
  perform pg_advisory_xact_lock(nowcast.compaction_lock());
  select (min(u.minute) at time zone 'UTC')::date into doomed from nowcast.unkept_minutes u;
  if doomed is null or doomed + minute_days >= (now() at time zone 'UTC')::date
    or exists (select from nowcast.day_tables() t where t.day = doomed) then
    return 0;
  end if;
  delete from nowcast.unkept_minutes u where u.minute < (doomed + 1)::timestamp at time zone 'UTC';
  get diagnostics deleted = row_count;
  insert into nowcast.pruned_tiers as p values ('unkept', (doomed + 1)::timestamp at time zone 'UTC')
    on conflict (tier) do update set until = greatest(p.until, excluded.until);
  return deleted;
end
$$;
