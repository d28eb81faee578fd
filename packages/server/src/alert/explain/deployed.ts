import type { Deployed, Question } from '../explanation.ts';
import type { Query } from './bounded.ts';

/** What began so long before the incident may have to do with it. */
const justBeforeMinutes = 30;
const maxDeployed = 5;

/**
 * Values first seen from half an hour before the incident on: models against a month of hours, features and variants
 * against a day of minutes. Where all traffic is new, only a model that came after the first one is news.
 */
export async function readDeployed(query: Query, { since, until, labels }: Question): Promise<Deployed[]> {
  const rows = await query<{ what: Deployed['what']; value: string; first: Date }>(
    `with bounds as (
       select $1::timestamptz - interval '${justBeforeMinutes} minutes' as new_since, $2::timestamptz as until
     ),
     recent as materialized (
       select s.minute, s.model_version, s.feature, s.variant from bounds b, nowcast.minute_summaries s
       where s.minute >= b.new_since and s.minute < b.until
       union all
       select s.minute, s.model_version, s.feature, s.variant from bounds b, nowcast.open_summaries s
       where s.minute >= b.new_since and s.minute < b.until
     ),
     present as (
       select v.what, v.value, min(r.minute) as first from recent r,
         lateral (values ('model_version', r.model_version), ('feature', r.feature), ('variant', r.variant)) v (what, value)
       where v.value not in ('', '__other__') and ($3::text is null or r.model_version = $3 or v.what = 'model_version')
         and ($4::text is null or r.feature = $4)
       group by v.what, v.value
     )
     select p.what, p.value, p.first from present p cross join bounds b
     -- Traffic that began within the hour has no "before"; the rarer features of it come later by chance.
     where (exists (
       select from nowcast.model_summaries m where m.tier_seconds = 60
         and m.minute >= b.new_since - interval '1 day' and m.minute < b.new_since
     ) or p.what = 'model_version' and p.first > (select min(r.minute) from recent r))
     and not exists (
       select from nowcast.minute_summaries s
       where s.minute >= b.new_since - interval '1 day' and s.minute < b.new_since
         and case p.what when 'model_version' then s.model_version when 'feature' then s.feature else s.variant end
           = p.value
     )
     and (p.what <> 'model_version' or not exists (
       select from nowcast.model_summaries m where m.tier_seconds = 3600
         and m.minute >= b.new_since - interval '30 days' and m.minute < b.new_since - interval '1 hour'
         and m.model_version = p.value
     ))
     order by p.first desc, p.what, p.value limit ${maxDeployed}`,
    [since, until, labels.model_version ?? null, labels.feature ?? null],
  );
  return rows.map(({ what, value, first }) => ({ what, value, first_seen_at: first.toISOString() }));
}
