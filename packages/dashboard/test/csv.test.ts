import { parse } from 'csv-parse/sync';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { toCsv } from '../src/history/csv.ts';

const text = fc.oneof(
  fc.string({ unit: 'grapheme' }),
  fc
    .tuple(fc.constantFrom('=', '+', '-', '@', '\t', '\r', '\n', '＝', '＠'), fc.string())
    .map((parts) => parts.join('')),
  fc.constantFrom('=HYPERLINK("http://x","y")', '"=1+1"', "'=1", '@SUM(A1)', '-1+cmd|x', ',', '"', '\r\n'),
);
const value = fc.oneof(text, fc.double(), fc.integer(), fc.boolean(), fc.constant(null));

/** What a spreadsheet takes for a formula. */
const formula = /^[=+\-@\t\r\n＝＋－＠]/;

test('what is exported is read back as it was, and no text in it is a formula', () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(text, { minLength: 1, maxLength: 5 }),
      fc.array(fc.array(value)),
      (columns, cells) => {
        const rows = cells.map((row) =>
          Object.fromEntries(columns.map((name, index) => [name, row[index] ?? null])),
        );
        const [head, ...lines] = parse(toCsv(columns, rows), { recordDelimiter: '\r\n' }) as string[][];
        expect(head!.map((name, place) => unmarked(name, columns[place]))).toEqual(columns);
        expect(lines.length).toBe(rows.length);
        for (const [index, line] of lines.entries()) {
          for (const [place, cell] of line.entries()) {
            const original = rows[index]![columns[place]!];
            if (typeof original === 'string') expect(cell).not.toMatch(formula);
            expect(typeof original === 'string' ? unmarked(cell, original) : cell).toBe(
              original === null ? '' : String(original),
            );
          }
        }
        for (const name of head!) expect(name).not.toMatch(formula);
      },
    ),
  );
});

test('negative numbers stay numbers', () => {
  expect(toCsv(['change'], [{ change: -1.5 }, { change: '-1.5' }])).toBe(
    '"change"\r\n"-1.5"\r\n"\'-1.5"\r\n',
  );
});

/** Without the apostrophe that a formula gets. */
function unmarked(cell: string, original = ''): string {
  return cell.startsWith("'") && formula.test(cell.slice(1)) && !original.startsWith("'")
    ? cell.slice(1)
    : cell;
}
