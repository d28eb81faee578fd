/** CSV as RFC 4180 has it, safe to open in a spreadsheet. Pure. */

/** A cell that begins with one of these is a formula to a spreadsheet, whatever it was to its writer. */
const formulaStart = /^[=+\-@\t\r\n＝＋－＠]/;

type Row = Readonly<Record<string, unknown>>;

/**
 * One line a row, every cell quoted. Text from events can begin with "=": it gets an apostrophe before it, which
 * spreadsheets take as "this is text". Numbers are left alone, negative ones too.
 */
export function toCsv(columns: readonly string[], rows: readonly Row[]): string {
  const lines = [
    columns.map(cellOf).join(','),
    ...rows.map((row) => columns.map((name) => cellOf(row[name])).join(',')),
  ];
  return `${lines.join('\r\n')}\r\n`;
}

function cellOf(value: unknown): string {
  if (value === null || value === undefined) return '""';
  if (typeof value === 'number' || typeof value === 'bigint' || typeof value === 'boolean')
    return `"${value}"`;
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  const safe = formulaStart.test(text) ? `'${text}` : text;
  return `"${safe.replaceAll('"', '""')}"`;
}
