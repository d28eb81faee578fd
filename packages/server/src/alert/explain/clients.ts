import type { Slice } from './attribution.ts';
import type { Query } from './bounded.ts';
import type { Windows } from './windows.ts';

const maxClients = 200;

/** Events stored of each client in both windows, by the minutes in which they were received. */
export async function readClientCounts(query: Query, { before, after }: Windows): Promise<Slice[]> {
  const rows = await query<{ value: string; before: number; after: number }>(
    `select c.sender as value,
       coalesce(sum(c.events) filter (where c.minute = any ($1::timestamptz[])), 0)::double precision as before,
       coalesce(sum(c.events) filter (where c.minute = any ($2::timestamptz[])), 0)::double precision as after
     from (
       select m.sender, m.minute, m.events from nowcast.loss_minutes m
       where m.minute = any ($1::timestamptz[] || $2::timestamptz[]) and m.fate in ('stored', 'sampled_out')
       union all
       select p.sender, p.minute, p.events from nowcast.loss_partials p
       where p.minute = any ($1::timestamptz[] || $2::timestamptz[]) and p.fate in ('stored', 'sampled_out')
     ) c
     group by c.sender order by sum(c.events) desc limit ${maxClients}`,
    [before.minutes, after.minutes],
  );
  const counted = (n: number) => ({ n, sum: n, sumSq: n });
  return rows.map((row) => ({ value: row.value, before: counted(row.before), after: counted(row.after) }));
}
