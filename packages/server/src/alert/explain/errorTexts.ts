import type { Question } from '../explanation.ts';
import type { Dimension } from './attribution.ts';
import type { Query } from './bounded.ts';
import { errorPattern } from './errorPattern.ts';
import { rowParameters, type Sample, sampledRows } from './rows.ts';

const maxTexts = 2_000;

/** Errors by text, numbers and ids in it taken out: how many of each there were, for as many calls. */
export async function readErrorTexts(
  query: Query,
  question: Question,
  { before, after, total }: { before: Sample; after: Sample; total: Dimension['total'] },
): Promise<Dimension> {
  const rows = await query<{ text: string; before: number; after: number }>(
    `with e as materialized (
       select false as is_after, s.* from (${sampledRows(question, '$5', '$6')}) s
       union all
       select true, s.* from (${sampledRows(question, '$7', '$8')}) s
     )
     select left(e.error_message, 300) as text,
       coalesce(sum(e.weight) filter (where not e.is_after), 0)::double precision as before,
       coalesce(sum(e.weight) filter (where e.is_after), 0)::double precision as after
     from e where e.is_error and e.error_message is not null
     group by 1 order by 3 desc, 2 desc limit ${maxTexts}`,
    [...rowParameters(question, undefined), before.starts, before.seconds, after.starts, after.seconds],
  );
  const byPattern = new Map<string, { before: number; after: number }>();
  for (const row of rows) {
    const pattern = errorPattern(row.text);
    const known = byPattern.get(pattern) ?? { before: 0, after: 0 };
    byPattern.set(pattern, { before: known.before + row.before, after: known.after + row.after });
  }
  const counted = (n: number) => ({ n, sum: n, sumSq: n });
  return {
    name: 'error_message',
    measure: { kind: 'volume', scale: total.before.n === 0 ? 0 : total.after.n / total.before.n },
    total: { before: counted(total.before.sum), after: counted(total.after.sum) },
    slices: [...byPattern].map(([value, sides]) => ({
      value,
      before: counted(sides.before),
      after: counted(sides.after),
    })),
    valueCount: byPattern.size,
    weight: after.weight,
    // Errors are always kept.
    spread: 1,
  };
}
