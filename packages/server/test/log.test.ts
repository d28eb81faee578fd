import pg from 'pg';
import { expect, test } from 'vitest';
import { describeError, inWords } from '../src/log.ts';

test('the log keeps the words of an error and nothing that hangs on it', () => {
  const error = Object.assign(new pg.DatabaseError('boom', 4, 'error'), {
    code: '57P01',
    client: { secretKey: 12345, password: 'hidden' },
  });
  const described = describeError(new Error('outer', { cause: error }));
  expect(described).toMatchObject({
    type: 'Error',
    message: 'outer',
    cause: { message: 'boom', code: '57P01' },
  });
  expect(JSON.stringify(described)).not.toMatch(/12345|hidden/);
});

test('a person at a terminal reads words, the fields and the stack', () => {
  const at = { time: new Date(2026, 0, 2, 3, 4, 5).getTime(), pid: 1, hostname: 'h' };
  expect(inWords(JSON.stringify({ level: 40, ...at, rule: 'r', msg: 'hot' }))).toBe(
    '03:04:05 warn  hot  {"rule":"r"}\n',
  );
  expect(
    inWords(JSON.stringify({ level: 50, ...at, err: { message: 'boom', stack: 'Error: boom\n  at x' } })),
  ).toBe('03:04:05 error boom\nError: boom\n  at x\n');
});
