import pg from 'pg';
import { expect, test } from 'vitest';
import { describeError } from '../src/log.ts';

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
