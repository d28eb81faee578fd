import { describe, expect, it } from 'vitest';
import { overloaded, toRestError } from '../src/deliver/rest/errors.ts';

const postgresError = (code: string, message = 'm') =>
  Object.assign(new Error(message), { severity: 'ERROR', code, detail: 'd', hint: 'h' });

describe('what is thrown while a request is served', () => {
  it('becomes the status that PostgREST gives for its SQLSTATE', () => {
    const status = (code: string, message?: string) =>
      toRestError(postgresError(code, message), 'service').status;
    const expected: Record<string, number> = {
      '22P02': 400,
      '42703': 400,
      '23502': 400,
      '23503': 409,
      '23505': 409,
      '25006': 405,
      '42501': 403,
      '42883': 404,
      '42P01': 404,
      '57014': 500,
      '57P01': 503,
      '57P03': 503,
      '53300': 503,
      '08006': 503,
      '40001': 500,
      P0001: 400,
      XX000: 500,
    };
    expect(Object.fromEntries(Object.keys(expected).map((code) => [code, status(code)]))).toEqual(expected);
    expect(status('21000', 'DELETE requires a WHERE clause')).toBe(400);
    expect(status('21000')).toBe(500);
    expect(toRestError(postgresError('42501'), 'anon').status).toBe(401);
  });

  it('keeps PostgreSQL’s text, detail and hint', () => {
    expect(toRestError(postgresError('22P02', 'bad'), 'anon').toJSON()).toEqual({
      code: '22P02',
      message: 'bad',
      details: 'd',
      hint: 'h',
    });
  });

  it('says 503 and when to come back while the database is out of reach', () => {
    for (const error of [
      Object.assign(new Error('connect ECONNREFUSED 127.0.0.1:5432'), { code: 'ECONNREFUSED' }),
      new Error('Connection terminated unexpectedly'),
      postgresError('57P03'),
      overloaded('reads'),
    ]) {
      expect(toRestError(error, 'anon')).toMatchObject({ status: 503, headers: { 'retry-after': '1' } });
    }
    expect(toRestError(new Error('timeout exceeded when trying to connect'), 'anon')).toMatchObject({
      status: 504,
      code: 'PGRST003',
    });
  });

  it('does not tell a stranger what a defect of the server says', () => {
    expect(toRestError(new TypeError('x is not a function at /srv/secret.ts'), 'anon').toJSON()).toEqual({
      code: 'PGRSTX00',
      message: 'Internal error',
      details: null,
      hint: null,
    });
  });
});
