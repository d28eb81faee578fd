import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { dayOf, jsonTimestamp, minuteOf, parseTimestampMicros, sqlTimestamp } from '../src/index.ts';

const moment = fc.date({ min: new Date('1970-01-01'), max: new Date('2199-12-31'), noInvalidDate: true });

describe('a timestamp', () => {
  test('of any moment is read as the platform reads it, to the microsecond', () => {
    fc.assert(
      fc.property(moment, fc.integer({ min: 0, max: 999 }), (date, micros) => {
        const text = date.toISOString().replace('Z', `${String(micros).padStart(3, '0')}Z`);
        expect(parseTimestampMicros(text)).toBe(date.getTime() * 1000 + micros);
      }),
    );
  });

  test('of any zone is read as the platform reads it', () => {
    fc.assert(
      fc.property(
        moment,
        fc.integer({ min: -14 * 60, max: 14 * 60 }),
        fc.constantFrom('', ':'),
        fc.constantFrom('T', ' '),
        (date, zoneMinutes, colon, separator) => {
          const two = (value: number) => String(value).padStart(2, '0');
          const zone = `${zoneMinutes < 0 ? '-' : '+'}${two(Math.floor(Math.abs(zoneMinutes) / 60))}${colon}${two(Math.abs(zoneMinutes) % 60)}`;
          const text = `${date.toISOString().slice(0, 19).replace('T', separator)}${zone}`;
          const expected = Date.parse(`${date.toISOString().slice(0, 19)}Z`) - zoneMinutes * 60_000;
          expect(parseTimestampMicros(text)).toBe(expected * 1000);
        },
      ),
    );
  });

  test('truncates what is finer than a microsecond', () => {
    expect(parseTimestampMicros('2026-01-31T23:59:59.9999999Z')! % 1_000_000).toBe(999_999);
  });

  test('without a zone is UTC', () => {
    expect(parseTimestampMicros('2026-01-31 12:00:00')).toBe(Date.UTC(2026, 0, 31, 12) * 1000);
  });

  test.each([
    '',
    'yesterday',
    '2026-01-31',
    '2026-02-29T00:00:00Z',
    '2026-13-01T00:00:00Z',
    '2026-00-01T00:00:00Z',
    '2026-01-31T24:00:00Z',
    '2026-01-31T23:60:00Z',
    '2026-01-31T23:59:60Z',
    '2026-01-31T23:59:59.Z',
    '2026-01-31T23:59:59+2',
    '2026-01-31T23:59:59+02:',
    '2026-01-31T23:59:59Zulu',
    '2026-01-31T23:59:59.123 ',
    '+026-01-31T23:59:59Z',
    '２026-01-31T23:59:59Z',
  ])('%s is none', (text) => {
    expect(parseTimestampMicros(text)).toBeUndefined();
  });

  test('never throws and gives an integer or nothing, whatever the text', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          moment.map((date) => date.toISOString().replace('1', 'x')),
        ),
        (text) => {
          const micros = parseTimestampMicros(text);
          expect(micros === undefined || Number.isInteger(micros)).toBe(true);
        },
      ),
    );
  });

  test('is written so that it reads back the same', () => {
    fc.assert(
      fc.property(moment, fc.integer({ min: 0, max: 999 }), (date, extra) => {
        const micros = date.getTime() * 1000 + extra;
        expect(parseTimestampMicros(sqlTimestamp(micros))).toBe(micros);
        expect(parseTimestampMicros(jsonTimestamp(micros))).toBe(micros);
        expect(minuteOf(micros) % 60_000_000).toBe(0);
        expect(dayOf(micros)).toBe(date.toISOString().slice(0, 10).replaceAll('-', ''));
      }),
    );
  });
});
