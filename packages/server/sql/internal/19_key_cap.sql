-- Keys of a minute are capped: whoever sends a request's id as its feature would otherwise make a summary of each
-- event. What is beyond goes to __other__, of its model where that one is within its own cap, and is counted. The
-- decision falls once, where partials are gathered under the compactor's lock: doors pay nothing for it and agree.
-- A key that has a summary of its own in a minute keeps it, and one that went to __other__ stays there, since a
-- minute's own keys become only more.

create or replace function nowcast.other_key() returns text
  language sql immutable parallel safe as $$ select '__other__'::text $$;

-- Keys (model_version, feature, variant) of a minute that have a summary of their own, and models of a minute.
create or replace function nowcast.max_minute_keys() returns integer
  language sql immutable parallel safe as $$ select 1000 $$;
create or replace function nowcast.max_minute_models() returns integer
  language sql immutable parallel safe as $$ select 200 $$;

-- Common table expressions that give the rows of `source` the keys they are kept by, as `capped`. New keys are
-- admitted while there is room; usually there are none, and nothing is counted.
create or replace function nowcast.admission_query(source text, content text) returns text
  language sql immutable as $outer$
  select format($query$
    fresh_keys as materialized (
      select s.minute, s.model_version, s.feature, s.variant,
        exists (
          select from nowcast.model_summaries m
          where m.tier_seconds = 60 and m.minute = s.minute and m.model_version = s.model_version
        ) as model_known
      from %1$s s
      where s.feature <> nowcast.other_key()
        and not exists (
          select from nowcast.minute_summaries k
          where (k.minute, k.model_version, k.feature, k.variant) = (s.minute, s.model_version, s.feature, s.variant)
        )
        and (s.minute, s.model_version, s.feature, s.variant) not in (
          select k.minute, k.model_version, k.feature, k.variant from nowcast.summary_merges k
        )
    ),
    fresh_minutes as materialized (
      select f.minute,
        (select count(*) from (
          select k.model_version, k.feature, k.variant from nowcast.minute_summaries k
          where k.minute = f.minute and k.feature <> nowcast.other_key()
          union
          select k.model_version, k.feature, k.variant from nowcast.summary_merges k
          where k.minute = f.minute and k.feature <> nowcast.other_key()
        ) known) as known_keys,
        (select count(*) from nowcast.model_summaries m
          where m.tier_seconds = 60 and m.minute = f.minute and m.model_version <> nowcast.other_key()) as known_models
      from (select distinct minute from fresh_keys) f
    ),
    fresh_models as materialized (
      select f.minute, f.model_version,
        m.known_models + row_number() over (partition by f.minute order by f.model_version)
          <= nowcast.max_minute_models() as admitted
      from (select distinct minute, model_version from fresh_keys where not model_known) f
        join fresh_minutes m using (minute)
    ),
    judged_keys as (
      select f.*, f.model_known or m.admitted as model_kept,
        n.known_keys + row_number() over (
          partition by f.minute, f.model_known or m.admitted order by f.model_version, f.feature, f.variant
        ) <= nowcast.max_minute_keys() as has_room
      from fresh_keys f join fresh_minutes n using (minute) left join fresh_models m using (minute, model_version)
    ),
    over_keys as materialized (
      select minute, model_version, feature, variant, model_kept from judged_keys where not (model_kept and has_room)
    ),
    capped as materialized (
      select s.minute,
        case when o.model_kept is false then nowcast.other_key() else s.model_version end as model_version,
        case when o.model_kept is null then s.feature else nowcast.other_key() end as feature,
        case when o.model_kept is null then s.variant else nowcast.other_key() end as variant,
        %2$s
      from %1$s s left join over_keys o using (minute, model_version, feature, variant)
    ),
    counted_over as (
      insert into nowcast.key_overflows as k (minute, events)
      select s.minute, sum(s.request_count) from %1$s s join over_keys o using (minute, model_version, feature, variant)
      group by s.minute
      on conflict (minute) do update set events = k.events + excluded.events
    )
  $query$, source, content)
$outer$;

-- Query text: the rows of `source` by the keys that their minutes already have: where a minute overflowed, every key
-- without a summary of its own lies in __other__.
create or replace function nowcast.capped_query(source text, content text) returns text
  language sql immutable as $outer$
  select format($query$
    select s.minute,
      case when o.model_kept is false then nowcast.other_key() else s.model_version end as model_version,
      case when o.model_kept is null then s.feature else nowcast.other_key() end as feature,
      case when o.model_kept is null then s.variant else nowcast.other_key() end as variant,
      %2$s
    from %1$s s left join lateral (
      select exists (
        select from nowcast.minute_summaries k where k.minute = s.minute and k.model_version = s.model_version
        union all
        select from nowcast.summary_merges k where k.minute = s.minute and k.model_version = s.model_version
      ) as model_kept
      where s.minute in (select minute from nowcast.key_overflows)
        and not exists (
          select from nowcast.minute_summaries k
          where (k.minute, k.model_version, k.feature, k.variant) = (s.minute, s.model_version, s.feature, s.variant)
          union all
          select from nowcast.summary_merges k
          where (k.minute, k.model_version, k.feature, k.variant) = (s.minute, s.model_version, s.feature, s.variant)
        )
    ) o on true
  $query$, source, content)
$outer$;
