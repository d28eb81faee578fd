import type { Example, Question } from '../explanation.ts';
import type { Attribution } from './attribution.ts';
import type { Query } from './bounded.ts';
import type { Cells } from './cells.ts';
import { errorPattern } from './errorPattern.ts';
import { metrics } from './metric.ts';
import { limitsOfRow, maxSampledRows, rowParameters } from './rows.ts';

const maxCandidates = 60;
const exampleCount = 3;

/** Three bad events of the cause, as different as there are. */
export async function readExamples(
  query: Query,
  question: Question,
  cells: Cells | undefined,
  cause: Attribution | undefined,
): Promise<Example[]> {
  // Of calls that did not come there are no examples.
  if (cells === undefined || question.metric === 'traffic') return [];
  const column = cause !== undefined && cause.dimension !== 'client' ? cause.dimension : undefined;
  const isPattern = column === 'error_message';
  const { condition, order } = badRows(question, cells);
  const rows = await query<Example & { id: string }>(
    `select e.id::text, to_json(e.timestamp) #>> '{}' as timestamp, e.model_version, e.inference_time_ms,
       coalesce(e.is_error, false) as is_error, left(e.error_message, 500) as error_message, e.trace_id, e.feature,
       e.user_id
     from (
       select * from public.inference_logs l
       where l.timestamp >= $5 and l.timestamp < $6 ${question.metric === 'error_rate' ? 'and l.is_error' : ''}
       order by l.timestamp desc limit ${maxSampledRows}
     ) e
     ${limitsOfRow}
     where ($1::text is null or e.model_version = $1) and ($2::text is null or e.feature = $2)
       and (${condition}) ${column === undefined || isPattern ? 'and $7::text is null' : `and e.${column} = $7`}
     order by ${order} limit ${isPattern ? maxSampledRows : maxCandidates}`,
    [
      ...rowParameters(question, cells.limits),
      question.since,
      question.until,
      isPattern ? null : (cause?.value ?? null),
    ],
  );
  const matching = isPattern
    ? rows.filter(({ error_message }) => errorPattern(error_message ?? '') === cause?.value)
    : rows;
  return distinct(matching);
}

function badRows({ metric }: Question, { total }: Cells): { condition: string; order: string } {
  const rises = total.before.n > 0 && total.after.sum / total.after.n > total.before.sum / total.before.n;
  const x = metrics[metric].row;
  if (metric === 'error_rate') return { condition: 'true', order: 'e.timestamp desc' };
  if (metric === 'latency') return { condition: `${x} = 1`, order: 'e.inference_time_ms desc' };
  return { condition: `(${x}) is not null`, order: `(${x}) ${rises ? 'desc' : 'asc'}` };
}

function distinct(rows: readonly Example[]): Example[] {
  const chosen: Example[] = [];
  const kinds = new Set<string>();
  const kindOf = (row: Example) =>
    JSON.stringify([errorPattern(row.error_message ?? ''), row.model_version, row.feature, row.user_id]);
  for (const row of rows) {
    if (chosen.length === exampleCount) break;
    if (kinds.has(kindOf(row))) continue;
    kinds.add(kindOf(row));
    chosen.push(row);
  }
  // Where all are alike, others of the same kind do.
  for (const row of rows) {
    if (chosen.length === exampleCount) break;
    if (!chosen.includes(row)) chosen.push(row);
  }
  return chosen;
}
