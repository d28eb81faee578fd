import type { DatabaseError, FieldDef } from 'pg';

type Column = Pick<FieldDef, 'name' | 'dataTypeID'>;
type Row = (string | null)[];

/** Object identifiers of PostgreSQL's types (pg_type.dat), fixed for ever. */
const TYPE = {
  bool: 16,
  int8: 20,
  int2: 21,
  int4: 23,
  oid: 26,
  json: 114,
  float4: 700,
  float8: 701,
  numeric: 1700,
  jsonb: 3802,
};
const NUMBERS: number[] = [TYPE.int2, TYPE.int4, TYPE.int8, TYPE.oid, TYPE.float4, TYPE.float8, TYPE.numeric];

/** Rows as psql shows them: aligned columns, numbers to the right, the number of rows below. */
export function formatTable(columns: Column[], rows: Row[]): string {
  const cells = rows.map((row) => row.map((value) => showControls(value ?? '')));
  const widths = columns.map(({ name }, index) =>
    Math.max(width(name), ...cells.map((row) => width(row[index] ?? ''))),
  );
  const line = (texts: string[]): string =>
    texts
      .map((text, index) => {
        const padding = ' '.repeat(widths[index]! - width(text));
        return NUMBERS.includes(columns[index]!.dataTypeID) ? padding + text : text + padding;
      })
      .join(' | ')
      .trimEnd();
  return [
    line(columns.map(({ name }) => name)),
    widths.map((size) => '-'.repeat(size)).join('-+-'),
    ...cells.map(line),
    `(${rows.length} ${rows.length === 1 ? 'row' : 'rows'})`,
    '',
    '',
  ].join('\n');
}

/** One JSON object a line. What JSON's numbers cannot hold exactly or at all (huge integers, NaN) stays text. */
export function formatJson(columns: Column[], rows: Row[]): string {
  return rows
    .map((row) => {
      const entries = columns.map(({ name, dataTypeID }, index) => [
        name,
        jsonValue(dataTypeID, row[index] ?? null),
      ]);
      return `${JSON.stringify(Object.fromEntries(entries))}\n`;
    })
    .join('');
}

/** What PostgreSQL said, with the place in the query, as psql shows it. */
export function formatError(
  error: Pick<DatabaseError, 'message'> & Partial<DatabaseError>,
  sql: string,
): string {
  const lines = [`${error.severity ?? 'ERROR'}:  ${error.message}`];
  if (error.position !== undefined) {
    // PostgreSQL counts code points from 1.
    const before = [...sql].slice(0, Number(error.position) - 1).join('');
    const number = before.split('\n').length;
    const prefix = `LINE ${number}: `;
    const column = width(before.split('\n').at(-1) ?? '');
    lines.push(`${prefix}${sql.split('\n')[number - 1]}`, `${' '.repeat(prefix.length + column)}^`);
  }
  if (error.detail) lines.push(`DETAIL:  ${error.detail}`);
  if (error.hint) lines.push(`HINT:  ${error.hint}`);
  return lines.join('\n');
}

function jsonValue(type: number, value: string | null): unknown {
  if (value === null) return null;
  if (type === TYPE.bool) return value === 't';
  if (type === TYPE.json || type === TYPE.jsonb) return JSON.parse(value);
  if (!NUMBERS.includes(type)) return value;
  const number = Number(value);
  const exact = type !== TYPE.int8 || Number.isSafeInteger(number);
  return Number.isFinite(number) && exact ? number : value;
}

const width = (text: string): number => [...text].length;

/** A line break would tear the table apart, and an event's text must not steer the terminal. */
function showControls(text: string): string {
  const names: Record<string, string> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };
  return text.replace(/\p{Cc}/gu, (c) => names[c] ?? `\\x${c.charCodeAt(0).toString(16).padStart(2, '0')}`);
}
