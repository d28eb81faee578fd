-- Summaries: made from rows, merged, read. The list of what a summary holds is written once, in the two
-- functions that return query texts; every function below is built from them.

-- PostgreSQL refuses products and quotients too small for a double, where other languages give 0: values that only a
-- test or a vandal sends count as 0, in both doors.
create or replace function nowcast.settled(x double precision) returns double precision
  language sql immutable parallel safe as $$ select case when abs(x) < 1e-100 then 0 else x end $$;

create or replace function nowcast.square(x double precision) returns double precision
  language sql immutable parallel safe as $$ select case when abs(x) < 1e-100 then 0 else x * x end $$;

-- Query text: each event of `source` (rows of inference_logs) as a summary of its own.
create or replace function nowcast.event_summaries_query(source text) returns text
  language sql immutable as $outer$
  select format($query$
    select
      date_bin('1 minute', e.timestamp, timestamptz '2000-01-01 00:00:00+00') as minute,
      e.model_version,
      coalesce(e.feature, '') as feature,
      coalesce(e.variant, '') as variant,
      1::bigint as request_count,
      coalesce(e.is_error, false)::int::bigint as error_count,
      nowcast.settled(e.inference_time_ms) as latency_sum_ms,
      nowcast.square(e.inference_time_ms) as latency_sum_sq,
      case when e.inference_time_ms >= 1e-100 then ln(e.inference_time_ms) else 0 end as latency_log_sum,
      case when e.inference_time_ms >= 1e-100 then ln(e.inference_time_ms) * ln(e.inference_time_ms) else 0 end
        as latency_log_sum_sq,
      nowcast.settled(e.inference_time_ms) as latency_min_ms,
      nowcast.settled(e.inference_time_ms) as latency_max_ms,
      (e.confidence_score is not null)::int::bigint as confidence_count,
      nowcast.settled(e.confidence_score) as confidence_sum,
      nowcast.square(e.confidence_score) as confidence_sum_sq,
      (e.quality_score is not null)::int::bigint as quality_count,
      nowcast.settled(e.quality_score) as quality_sum,
      nowcast.square(e.quality_score) as quality_sum_sq,
      (e.feedback is not null)::int::bigint as feedback_count,
      e.feedback::bigint as feedback_sum,
      e.input_size_bytes::bigint as input_size_bytes_sum,
      e.input_tokens::bigint as input_tokens_sum,
      e.output_tokens::bigint as output_tokens_sum,
      e.cached_input_tokens::bigint as cached_input_tokens_sum,
      (e.cost_usd is not null)::int::bigint as cost_count,
      nowcast.settled(e.cost_usd) as cost_usd_sum,
      nowcast.settled(e.value_usd) as value_usd_sum,
      nowcast.settled(e.compute_ms) as compute_ms_sum,
      (e.ttft_ms is not null)::int::bigint as ttft_count,
      nowcast.settled(e.ttft_ms) as ttft_ms_sum,
      array[width_bucket(e.inference_time_ms, nowcast.latency_edges())]::smallint[] as latency_bins,
      array[1]::bigint[] as latency_bin_counts,
      case when e.confidence_score is not null
        then array[width_bucket(e.confidence_score, nowcast.confidence_edges())]::smallint[] end as confidence_bins,
      case when e.confidence_score is not null then array[1]::bigint[] end as confidence_bin_counts
    from %s e
  $query$, source)
$outer$;

-- Query text: the summaries of `source` added up by `keys`. Keys are numbered first, so that the bins, which are many,
-- are grouped by two small numbers and not by texts. Sums and histograms then travel in one stream that is grouped once
-- more, where `min` picks a key's only histogram. Joining three groupings instead is fast only with good statistics, and
-- tables that are filled and emptied each second never have them: with nested loops, 9,000 partials took 2.7 s.
create or replace function nowcast.merge_query(source text, variadic keys text[]) returns text
  language sql immutable as $outer$
  select format($query$
    select merged.* from (with numbered as materialized (
      select s.*, dense_rank() over (order by %2$s) as key_number from %1$s s
    )
    select %3$s,
      sum(parts.request_count)::bigint as request_count,
      sum(parts.error_count)::bigint as error_count,
      sum(parts.latency_sum_ms) as latency_sum_ms,
      sum(parts.latency_sum_sq) as latency_sum_sq,
      sum(parts.latency_log_sum) as latency_log_sum,
      sum(parts.latency_log_sum_sq) as latency_log_sum_sq,
      min(parts.latency_min_ms) as latency_min_ms,
      max(parts.latency_max_ms) as latency_max_ms,
      sum(parts.confidence_count)::bigint as confidence_count,
      sum(parts.confidence_sum) as confidence_sum,
      sum(parts.confidence_sum_sq) as confidence_sum_sq,
      sum(parts.quality_count)::bigint as quality_count,
      sum(parts.quality_sum) as quality_sum,
      sum(parts.quality_sum_sq) as quality_sum_sq,
      sum(parts.feedback_count)::bigint as feedback_count,
      sum(parts.feedback_sum)::bigint as feedback_sum,
      sum(parts.input_size_bytes_sum)::bigint as input_size_bytes_sum,
      sum(parts.input_tokens_sum)::bigint as input_tokens_sum,
      sum(parts.output_tokens_sum)::bigint as output_tokens_sum,
      sum(parts.cached_input_tokens_sum)::bigint as cached_input_tokens_sum,
      sum(parts.cost_count)::bigint as cost_count,
      sum(parts.cost_usd_sum) as cost_usd_sum,
      sum(parts.value_usd_sum) as value_usd_sum,
      sum(parts.compute_ms_sum) as compute_ms_sum,
      sum(parts.ttft_count)::bigint as ttft_count,
      sum(parts.ttft_ms_sum) as ttft_ms_sum,
      min(parts.latency_bins) as latency_bins,
      min(parts.latency_bin_counts) as latency_bin_counts,
      min(parts.confidence_bins) as confidence_bins,
      min(parts.confidence_bin_counts) as confidence_bin_counts
    from (
      select s.key_number, %2$s, null::smallint[] as latency_bins, null::bigint[] as latency_bin_counts,
        null::smallint[] as confidence_bins, null::bigint[] as confidence_bin_counts,
        s.request_count, s.error_count, s.latency_sum_ms, s.latency_sum_sq, s.latency_log_sum, s.latency_log_sum_sq,
        s.latency_min_ms, s.latency_max_ms, s.confidence_count, s.confidence_sum, s.confidence_sum_sq,
        s.quality_count, s.quality_sum, s.quality_sum_sq, s.feedback_count, s.feedback_sum, s.input_size_bytes_sum,
        s.input_tokens_sum, s.output_tokens_sum, s.cached_input_tokens_sum, s.cost_count, s.cost_usd_sum,
        s.value_usd_sum, s.compute_ms_sum, s.ttft_count, s.ttft_ms_sum
      from numbered s
      union all
      select b.key_number, %4$s, array_agg(b.bin order by b.bin), array_agg(b.n order by b.bin), null, null,
        null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null,
        null, null, null, null, null, null, null, null
      from (
        select s.key_number, h.bin, sum(coalesce(h.n, 1))::bigint as n
        from numbered s, unnest(s.latency_bins, s.latency_bin_counts) h (bin, n)
        group by s.key_number, h.bin
      ) b group by b.key_number
      union all
      select b.key_number, %4$s, null, null, array_agg(b.bin order by b.bin), array_agg(b.n order by b.bin),
        null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null,
        null, null, null, null, null, null, null, null
      from (
        select s.key_number, h.bin, sum(coalesce(h.n, 1))::bigint as n
        from numbered s, unnest(s.confidence_bins, s.confidence_bin_counts) h (bin, n)
        group by s.key_number, h.bin
      ) b group by b.key_number
    ) parts
    group by parts.key_number) merged
  $query$,
    source,
    array_to_string(keys, ', '),
    (select string_agg(format('min(parts.%1$s) as %1$s', k), ', ') from unnest(keys) k),
    (select string_agg('null', ', ') from unnest(keys) k))
$outer$;

-- Whether so many events are stored shorter as their bins, each once an event, than as bins and counts: two bytes an event
-- against six a bin, and 24 for the head of another array.
create or replace function nowcast.listed_is_shorter(events bigint, bins smallint[]) returns boolean
  language sql immutable parallel safe as $$ select 2 * events < 6 * cardinality(bins) + 24 $$;

-- Each bin as often as it was counted.
create or replace function nowcast.listed_bins(bins smallint[], counts bigint[]) returns smallint[]
  language sql immutable parallel safe as $$
  select array_agg(h.bin order by h.bin) from unnest(bins, counts) h (bin, n), generate_series(1, h.n)
$$;

-- Query text: the summaries of `source` by key as nowcast.minute_summaries stores them. Where counts are null, bins are
-- listed: a third less for a key with thirty events a minute. Whoever unnests them says coalesce(n, 1).
create or replace function nowcast.stored_minutes_query(source text) returns text
  language sql stable as $outer$
  select format('select s.minute, s.model_version, s.feature, s.variant, %s from %s s', (
    select string_agg(coalesce(h.stored, 's.' || a.attname), ', ' order by a.attnum)
    from pg_attribute a left join (values
      ('latency_bins', 'case when nowcast.listed_is_shorter(s.request_count, s.latency_bins)
        then nowcast.listed_bins(s.latency_bins, s.latency_bin_counts) else s.latency_bins end'),
      ('latency_bin_counts', 'case when not nowcast.listed_is_shorter(s.request_count, s.latency_bins)
        then s.latency_bin_counts end'),
      ('confidence_bins', 'case when nowcast.listed_is_shorter(s.confidence_count, s.confidence_bins)
        then nowcast.listed_bins(s.confidence_bins, s.confidence_bin_counts) else s.confidence_bins end'),
      ('confidence_bin_counts', 'case when not nowcast.listed_is_shorter(s.confidence_count, s.confidence_bins)
        then s.confidence_bin_counts end')
    ) h (name, stored) on h.name = a.attname
    where a.attrelid = 'nowcast.summary_content'::regclass and a.attnum > 0 and not a.attisdropped
  ), source)
$outer$;

-- Quantiles of a latency histogram in milliseconds, as percentile_cont defines them (linear between the two
-- nearest ranks). Each rank's value is its bin's harmonic middle, within 1 % of the true one, so the result is
-- too. `fractions` ascend. Values are held inside the exact minimum and maximum.
create or replace function nowcast.latency_quantiles(
  bins smallint[], counts bigint[], fractions double precision[], min_ms double precision, max_ms double precision
) returns double precision[]
  language plpgsql immutable parallel safe as $$
declare
  -- Local copies are unpacked once; a parameter would be unpacked at each subscript.
  bin smallint[] := bins;
  n bigint[] := counts;
  last_bin integer := coalesce(array_length(bins, 1), 0);
  total bigint := 0;
  fraction double precision;
  place double precision;
  rank bigint;
  i integer := 1;
  seen bigint;
  below double precision;
  above double precision;
  result double precision[] := '{}';
begin
  if last_bin = 0 then
    return null;
  end if;
  foreach seen in array n loop
    total := total + seen;
  end loop;
  seen := n[1];
  foreach fraction in array fractions loop
    place := fraction * (total - 1);
    rank := floor(place);
    while seen <= rank loop
      i := i + 1;
      seen := seen + n[i];
    end loop;
    below := nowcast.latency_bin_middle(bin[i]);
    above := below;
    if seen <= rank + 1 and i < last_bin then
      above := nowcast.latency_bin_middle(bin[i + 1]);
    end if;
    below := least(greatest(below, min_ms), max_ms);
    above := least(greatest(above, min_ms), max_ms);
    result := result || (below + (above - below) * (place - rank));
  end loop;
  return result;
end
$$;

-- Harmonic middle of a bin, within 1 % of every value in it.
create or replace function nowcast.latency_bin_middle(bin integer) returns double precision
  language plpgsql immutable parallel safe as $$
declare
  low double precision;
  high double precision;
begin
  if bin <= 0 then
    return 0;
  elsif bin >= cardinality(nowcast.latency_edges()) then
    return 'infinity';
  end if;
  low := (nowcast.latency_edges())[bin];
  high := (nowcast.latency_edges())[bin + 1];
  return 2 * low * high / (low + high);
end
$$;

-- Serialises compaction and recomputation over all servers.
create or replace function nowcast.compaction_lock() returns bigint
  language sql immutable parallel safe as $$ select 7021850139401::bigint $$;

create or replace function nowcast.sums_differ(a double precision, b double precision, n bigint) returns boolean
  language sql immutable as $$
  select case when a is null or b is null then a is distinct from b
    else abs(a - b) > 1e-9 * greatest(abs(a), abs(b), n) end
$$;

do $build$
declare
  content constant text := nowcast.summary_columns();
  s_content constant text := nowcast.summary_columns('s.');
  keyed_content constant text := 'minute, model_version, feature, variant, ' || content;
  excluded_content constant text := nowcast.summary_columns('excluded.');
  -- Adds summaries (`added`) to the stored ones of the models, for the lengths of bucket named in place of <tiers>,
  -- quantiles included.
  model_tiers constant text := format($query$
    added_by_model as materialized (%5$s),
    added_by_tier as materialized (
      select t.tier_seconds,
        date_bin(make_interval(secs => t.tier_seconds), a.minute, timestamptz '2000-01-01 00:00:00+00') as minute,
        a.model_version, %1$s
      from added_by_model a cross join (values <tiers>) t (tier_seconds)
    ),
    touched_buckets as (select distinct tier_seconds, minute, model_version from added_by_tier),
    tier_rows as materialized (
      select * from added_by_tier
      union all
      select s.tier_seconds, s.minute, s.model_version, %2$s
      from nowcast.model_summaries s join touched_buckets using (tier_seconds, minute, model_version)
    ),
    merged_buckets as materialized (%3$s),
    stored_buckets as (
      insert into nowcast.model_summaries (
        tier_seconds, minute, model_version, %1$s, p50_latency_ms, p95_latency_ms, p99_latency_ms
      )
      select m.tier_seconds, m.minute, m.model_version, %1$s, q.quantiles[1], q.quantiles[2], q.quantiles[3]
      from merged_buckets m,
        nowcast.latency_quantiles(latency_bins, latency_bin_counts, array[0.5, 0.95, 0.99],
          latency_min_ms, latency_max_ms) q (quantiles)
      on conflict (tier_seconds, minute, model_version) do update set
        (%1$s, p50_latency_ms, p95_latency_ms, p99_latency_ms)
          = (%4$s, excluded.p50_latency_ms, excluded.p95_latency_ms, excluded.p99_latency_ms)
    )
  $query$, content, s_content, nowcast.merge_query('tier_rows', 'tier_seconds', 'minute', 'model_version'),
    excluded_content, nowcast.merge_query('added', 'minute', 'model_version'));
begin
  -- Summaries by key that the minutes do not hold yet.
  execute format($view$
    create or replace view nowcast.open_summaries as
      select minute, model_version, feature, variant, %1$s from nowcast.summary_partials
      union all
      select minute, model_version, feature, variant, %1$s from nowcast.summary_merges
  $view$, content);

  -- One statement takes partials out and puts their sum in: two would lose an append between them. Models' minutes, which
  -- everybody looks at, get it at once. Returns how many partials it took; -1 when another server is at it.
  execute format($function$
    create or replace function nowcast.gather(max_partials integer default 20000) returns integer
      language plpgsql set enable_sort = off as $body$
    declare
      taken_count integer;
    begin
      if not pg_try_advisory_xact_lock(nowcast.compaction_lock()) then
        return -1;
      end if;
      with taken as materialized (
        delete from nowcast.summary_partials
        where ctid = any (array(select p.ctid from nowcast.summary_partials p limit max_partials))
        returning *
      ),
      -- The partials are taken apart once; what follows works on their sum.
      gathered as materialized (%1$s),
      %3$s,
      added as (select * from capped),
      merged as (insert into nowcast.summary_merges select * from added),
      %2$s
      select count(*) into taken_count from taken;
      return taken_count;
    end
    $body$
  $function$, nowcast.merge_query('taken', 'minute', 'model_version', 'feature', 'variant'),
    replace(model_tiers, '<tiers>', '(60)'), nowcast.admission_query('gathered', s_content));

  -- Gathers, and adds what was gathered to the minutes by key and to the models' longer buckets.
  execute format($function$
    create or replace function nowcast.compact(max_partials integer default 20000) returns integer
      language plpgsql set enable_sort = off as $body$
    declare
      taken_count constant integer := nowcast.gather(max_partials);
      merged_count integer;
    begin
      if taken_count = -1 then
        return -1;
      end if;
      with taken as materialized (delete from nowcast.summary_merges returning *),
      added as materialized (%5$s),
      touched as (select distinct minute, model_version, feature, variant from added),
      key_rows as materialized (
        select * from added
        union all
        select s.* from nowcast.minute_summaries s join touched using (minute, model_version, feature, variant)
      ),
      stored as (
        insert into nowcast.minute_summaries (minute, model_version, feature, variant, %1$s)
        %2$s
        on conflict (minute, model_version, feature, variant) do update set (%1$s) = (%3$s)
      ),
      %4$s
      select count(*) into merged_count from taken;
      return taken_count;
    end
    $body$
  $function$, content, nowcast.stored_minutes_query(
      format('(%s)', nowcast.merge_query('key_rows', 'minute', 'model_version', 'feature', 'variant'))),
    excluded_content, replace(model_tiers, '<tiers>', '(300), (900), (3600)'),
    nowcast.merge_query('taken', 'minute', 'model_version', 'feature', 'variant'));

  -- Events as summaries by key, from the rows themselves.
  execute format($function$
    create or replace function nowcast.summaries_of_rows(since timestamptz, until timestamptz)
      returns setof nowcast.minute_summaries language sql stable set enable_sort = off as $body$
      with events as materialized (%1$s where e.timestamp >= since and e.timestamp < until)
      %2$s
    $body$
  $function$, nowcast.event_summaries_query('public.inference_logs'),
    nowcast.merge_query('events', 'minute', 'model_version', 'feature', 'variant'));

  -- What summaries must hold, by the keys that events came with: the rows, and what was counted and not kept.
  execute format($function$
    create or replace function nowcast.uncapped_summaries(since timestamptz, until timestamptz)
      returns setof nowcast.minute_summaries language sql stable as $body$
      select %1$s from nowcast.summaries_of_rows(since, until)
      union all
      select %1$s from nowcast.unkept_minutes where minute >= since and minute < until
      union all
      select %1$s from nowcast.unkept_partials where minute >= since and minute < until
    $body$
  $function$, keyed_content);

  -- The same by the keys that their minutes keep.
  execute format($function$
    create or replace function nowcast.recomputed_summaries(since timestamptz, until timestamptz)
      returns setof nowcast.minute_summaries language sql stable set enable_sort = off as $body$
      with uncapped as materialized (select * from nowcast.uncapped_summaries(since, until)),
      parts as materialized (%3$s)
      select %1$s from (%2$s) merged
    $body$
  $function$, keyed_content, nowcast.merge_query('parts', 'minute', 'model_version', 'feature', 'variant'),
    nowcast.capped_query('uncapped', s_content));

  -- Sums one minute anew from its rows and from what was not kept, under the compactor's lock. One statement, hence one
  -- snapshot: the partials that it removes belong to the very rows that it counts.
  --
  -- A minute that overflowed and whose summaries were given up since does not know its keys any more: what it holds comes
  -- again as partials, and the compactor, which the caller runs, admits keys as if all of it were new. True then.
  drop function if exists nowcast.recompute_minute(timestamptz);
  execute format($function$
    create function nowcast.recompute_minute(stale timestamptz) returns boolean
      language plpgsql as $body$
    begin
      perform pg_advisory_xact_lock(nowcast.compaction_lock());
      insert into nowcast.corrected_minutes values (stale)
        on conflict (minute) do update set corrected_at = now();
      if not exists (select from nowcast.minute_summaries s where s.minute = stale)
        and not exists (select from nowcast.summary_merges s where s.minute = stale) then
        delete from nowcast.key_overflows k where k.minute = stale;
        if found then
          with gone as (delete from nowcast.summary_partials p where p.minute = stale)
          insert into nowcast.summary_partials (%3$s)
          select %3$s from nowcast.uncapped_summaries(stale, stale + interval '1 minute');
          return true;
        end if;
      end if;
      with gone as (delete from nowcast.summary_partials p where p.minute = stale),
      counted as materialized (select * from nowcast.recomputed_summaries(stale, stale + interval '1 minute')),
      emptied as (
        delete from nowcast.minute_summaries s where s.minute = stale
          and not exists (
            select from counted c
            where (c.model_version, c.feature, c.variant) = (s.model_version, s.feature, s.variant)
          )
      )
      insert into nowcast.minute_summaries (%3$s)
      %4$s
      on conflict (minute, model_version, feature, variant) do update set (%1$s) = (%2$s);
      return false;
    end
    $body$
  $function$, content, excluded_content, keyed_content, nowcast.stored_minutes_query('counted'));

  -- Builds the buckets of one hour anew from the minutes, which only the holder of the lock changes.
  execute format($function$
    create or replace function nowcast.rebuild_buckets(hour timestamptz) returns void
      language plpgsql set enable_sort = off as $body$
    declare
      added_count integer;
    begin
      perform pg_advisory_xact_lock(nowcast.compaction_lock());
      delete from nowcast.model_summaries s
        where s.tier_seconds in (60, 300, 900, 3600) and s.minute >= hour and s.minute < hour + interval '1 hour';
      with added as materialized (
        select * from nowcast.minute_summaries s
        where s.minute >= hour and s.minute < hour + interval '1 hour'
      ),
      %1$s
      select count(*) into added_count from added;
    end
    $body$
  $function$, replace(replace(model_tiers, '<tiers>', '(60), (300), (900), (3600)'), 'join touched_buckets', 'join (select * from touched_buckets where false) none'));

  -- The other door: whoever inserts into inference_logs itself gets the same summary, feed row and wake-up.
  execute format($function$
    create or replace function nowcast.summarise_inserted() returns trigger
      language plpgsql security definer set search_path = pg_catalog, pg_temp as $body$
    declare
      told record;
    begin
      select count(*)::int as n, min(timestamp) as min_timestamp, max(timestamp) as max_timestamp,
        min(id) as min_id, max(id) as max_id into told from new_rows;
      if told.n = 0 then
        return null;
      elsif told.n = 1 then
        insert into nowcast.summary_partials %1$s;
      else
        insert into nowcast.summary_partials
          with events as materialized (%1$s) %2$s;
      end if;
      insert into nowcast.feed (relation, row_count, min_timestamp, max_timestamp, min_id, max_id)
        values ('inference_logs', told.n, told.min_timestamp, told.max_timestamp, told.min_id, told.max_id);
      insert into nowcast.loss_partials (sender, fate, reason, events)
        values (format('sql (%%s)', session_user), 'stored', '', told.n);
      perform nowcast.wake();
      return null;
    end
    $body$
  $function$, nowcast.event_summaries_query('new_rows'),
    nowcast.merge_query('events', 'minute', 'model_version', 'feature', 'variant'));

  -- Buckets of the models with what the compactor has not taken yet, histograms included: the one source of
  -- every metric by model. `tier` is 60, 300, 900 or 3600 seconds.
  execute format($function$
    create or replace function nowcast.model_buckets(tier integer, since timestamptz, until timestamptz)
      returns setof nowcast.model_summaries language sql stable as $body$
      with pending as materialized (
        select tier as tier_seconds,
          date_bin(make_interval(secs => tier), p.minute, timestamptz '2000-01-01 00:00:00+00') as minute,
          p.model_version, %1$s
        from nowcast.summary_partials p where p.minute >= since and p.minute < until
        union all
        select tier, date_bin(make_interval(secs => tier), p.minute, timestamptz '2000-01-01 00:00:00+00'),
          p.model_version, %1$s
        from nowcast.summary_merges p where tier <> 60 and p.minute >= since and p.minute < until
      ),
      open_buckets as (select distinct minute, model_version from pending),
      open_rows as materialized (
        select * from pending
        union all
        select s.tier_seconds, s.minute, s.model_version, %2$s
        from open_buckets join nowcast.model_summaries s using (minute, model_version) where s.tier_seconds = tier
      ),
      merged as (%3$s)
      select s.* from nowcast.model_summaries s
      where s.tier_seconds = tier and s.minute >= since and s.minute < until
        and not exists (
          select from open_buckets o where o.minute = s.minute and o.model_version = s.model_version
        )
      union all
      select m.tier_seconds, m.minute, m.model_version, %1$s, q.quantiles[1], q.quantiles[2], q.quantiles[3]
      from merged m,
        nowcast.latency_quantiles(latency_bins, latency_bin_counts, array[0.5, 0.95, 0.99],
          latency_min_ms, latency_max_ms) q (quantiles)
    $body$
  $function$, content, s_content, nowcast.merge_query('open_rows', 'tier_seconds', 'minute', 'model_version'));

  -- Their figures in buckets of any step that the tier divides, or of one feature, which only the minutes know.
  execute format($function$
    create or replace function nowcast.merged_buckets(
      step interval, tier integer, since timestamptz, until timestamptz, model text, only_feature text
    ) returns setof nowcast.model_figures language sql stable as $body$
      with source as materialized (
        select tier as tier_seconds, s.minute, s.model_version, %2$s
        from nowcast.model_buckets(tier, since, until) s
        where only_feature is null and (model is null or s.model_version = model)
        union all
        select tier, s.minute, s.model_version, %2$s from nowcast.minute_summaries s
        where s.feature = only_feature and s.minute >= since and s.minute < until
          and (model is null or s.model_version = model)
        union all
        select tier, s.minute, s.model_version, %2$s from nowcast.open_summaries s
        where s.feature = only_feature and s.minute >= since and s.minute < until
          and (model is null or s.model_version = model)
      ),
      stepped as materialized (
        select tier_seconds, date_bin(step, minute, timestamptz '2000-01-03 00:00:00+00') as minute,
          model_version, %1$s
        from source
      ),
      merged as (%3$s)
      select m.minute, m.model_version, m.request_count, m.error_count, m.latency_sum_ms, m.confidence_count,
        m.confidence_sum, m.quality_count, m.quality_sum, m.ttft_count, m.ttft_ms_sum, m.input_tokens_sum,
        m.output_tokens_sum, m.cached_input_tokens_sum, m.cost_count, m.cost_usd_sum, m.value_usd_sum,
        q.quantiles[1], q.quantiles[2], q.quantiles[3]
      from merged m,
        nowcast.latency_quantiles(latency_bins, latency_bin_counts, array[0.5, 0.95, 0.99],
          latency_min_ms, latency_max_ms) q (quantiles)
    $body$
  $function$, content, s_content, nowcast.merge_query('stepped', 'tier_seconds', 'minute', 'model_version'));

  -- Whether two summaries say different things: counts and bins exactly, sums of floating-point numbers to 1e-9,
  -- since the order of addition differs.
  execute format($function$
    create or replace function nowcast.summaries_differ(a nowcast.summary_content, b nowcast.summary_content)
      returns boolean language sql immutable as $body$ select %s $body$
  $function$, (
    select string_agg(
      case when atttypid = 'float8'::regtype
        then format('nowcast.sums_differ((a).%1$s, (b).%1$s, (a).request_count)', attname)
        else format('(a).%1$s is distinct from (b).%1$s', attname) end, ' or ' order by attnum)
    from pg_attribute where attrelid = 'nowcast.summary_content'::regclass and attnum > 0 and not attisdropped
  ));

  -- Stored summaries beside what their rows, or for models their minutes, say. See nowcast_recompute_check.
  execute format($function$
    create or replace function nowcast.compare_summaries(since timestamptz)
      returns table (
        summary text, minute timestamptz, model_version text, feature text, variant text,
        stored nowcast.summary_content, recomputed nowcast.summary_content
      ) language sql stable as $body$
      with held as materialized (
        select s.* from nowcast.minute_summaries s where s.minute >= since
        union all
        select p.* from (%5$s) p where p.minute >= since
      ),
      held_minutes as (%1$s),
      compacted as materialized (
        select t.tier_seconds, date_bin(make_interval(secs => t.tier_seconds), s.minute,
          timestamptz '2000-01-01 00:00:00+00') as minute, s.model_version, %2$s
        from nowcast.minute_summaries s cross join (values (60), (300), (900), (3600)) t (tier_seconds)
        where s.minute >= since
        union all
        select 60, s.minute, s.model_version, %2$s from nowcast.summary_merges s where s.minute >= since
      ),
      compacted_buckets as (%3$s)
      select 'minute', k.minute, k.model_version, k.feature, k.variant, s.stored, r.recomputed
      from (select minute, model_version, feature, variant, row(%4$s)::nowcast.summary_content as stored
        from held_minutes) s
      full join (select minute, model_version, feature, variant, row(%4$s)::nowcast.summary_content as recomputed
        from nowcast.recomputed_summaries(since, 'infinity')) r using (minute, model_version, feature, variant)
      cross join lateral (select minute, model_version, feature, variant) k
      where (k.minute at time zone 'UTC')::date in (select d from nowcast.partition_days() d)
      union all
      select format('model, %%s s', tier_seconds), minute, model_version, null, null, s.stored, r.recomputed
      from (select tier_seconds, minute, model_version, row(%4$s)::nowcast.summary_content as stored
        from nowcast.model_summaries where minute >= since) s
      full join (select tier_seconds, minute, model_version, row(%4$s)::nowcast.summary_content as recomputed
        from compacted_buckets where minute >= since) r using (tier_seconds, minute, model_version)
    $body$
  $function$, nowcast.merge_query('held', 'minute', 'model_version', 'feature', 'variant'), s_content,
    nowcast.merge_query('compacted', 'tier_seconds', 'minute', 'model_version'), content,
    nowcast.capped_query('nowcast.open_summaries', s_content));
end
$build$;

-- Takes the marks of UPDATE and DELETE and sums their minutes anew. Returns the number of minutes.
create or replace function nowcast.recompute_stale(max_minutes integer default 60) returns integer
  language plpgsql as $$
declare
  stale timestamptz[];
  taken integer;
  one timestamptz;
  to_compact boolean := false;
begin
  if not exists (select from nowcast.stale_minutes) or not pg_try_advisory_xact_lock(nowcast.compaction_lock()) then
    return 0;
  end if;
  -- Buckets are built anew from the minutes, which must hold everything that was gathered.
  perform nowcast.compact();
  with chosen as (select distinct minute from nowcast.stale_minutes order by minute limit max_minutes),
  gone as (delete from nowcast.stale_minutes s using chosen c where s.minute = c.minute)
  -- The rows of a day that left for the archive are not gone: its summaries stay as they are. So do those whose unkept
  -- events are not known any more.
  -- Where the other minutes of an hour were given up, all of them come from the rows, or the hour would lose them.
  select array_agg(distinct m.minute) filter (where t.attached and c.minute >= coalesce(
      (select p.until from nowcast.pruned_tiers p where p.tier = 'unkept'), '-infinity')),
    count(distinct c.minute) into stale, taken
    from chosen c
    left join nowcast.day_tables() t on t.day = (c.minute at time zone 'UTC')::date
    cross join lateral (
      select c.minute
      union
      select date_bin('1 hour', c.minute, timestamptz '2000-01-01 00:00:00+00') + make_interval(mins => i)
      from nowcast.pruned_tiers p, generate_series(0, 59) i where p.tier = 'minutes' and c.minute < p.until
    ) m;
  foreach one in array coalesce(stale, '{}') loop
    to_compact := nowcast.recompute_minute(one) or to_compact;
  end loop;
  while to_compact loop
    to_compact := nowcast.compact(20000) = 20000;
  end loop;
  for one in
    select distinct date_bin('1 hour', m, timestamptz '2000-01-01 00:00:00+00') from unnest(stale) m
  loop
    perform nowcast.rebuild_buckets(one);
  end loop;
  return taken;
end
$$;

-- UPDATE and DELETE (corrections, privacy requests) mark their minutes, and tell subscribers.
create or replace function nowcast.mark_changed_rows() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  told jsonb;
begin
  if tg_op = 'UPDATE' then
    insert into nowcast.stale_minutes
      select date_bin('1 minute', timestamp, timestamptz '2000-01-01 00:00:00+00') from old_rows
      union
      select date_bin('1 minute', timestamp, timestamptz '2000-01-01 00:00:00+00') from new_rows;
    select jsonb_agg(jsonb_build_object('type', 'UPDATE', 'record', to_jsonb(n))) into told
      from (select * from new_rows limit 1000) n;
  else
    insert into nowcast.stale_minutes
      select distinct date_bin('1 minute', timestamp, timestamptz '2000-01-01 00:00:00+00') from old_rows;
    select jsonb_agg(jsonb_build_object('type', 'DELETE',
        'old_record', jsonb_build_object('timestamp', o.timestamp, 'id', o.id))) into told
      from (select * from old_rows limit 1000) o;
  end if;
  if told is not null then
    insert into nowcast.feed (relation, row_count, changes)
      values ('inference_logs', jsonb_array_length(told), told);
    perform nowcast.wake();
  end if;
  return null;
end
$$;

create or replace function nowcast.refuse_truncate() returns trigger
  language plpgsql as $$
begin
  raise exception 'inference_logs cannot be truncated: its summaries would keep what the rows lost'
    using hint = 'Delete rows, or let retention drop whole days.';
end
$$;

create or replace trigger summarise_inserted after insert on public.inference_logs
  referencing new table as new_rows for each statement execute function nowcast.summarise_inserted();
create or replace trigger mark_updated after update on public.inference_logs
  referencing old table as old_rows new table as new_rows
  for each statement execute function nowcast.mark_changed_rows();
create or replace trigger mark_deleted after delete on public.inference_logs
  referencing old table as old_rows for each statement execute function nowcast.mark_changed_rows();
create or replace trigger refuse_truncate before truncate on public.inference_logs
  for each statement execute function nowcast.refuse_truncate();
