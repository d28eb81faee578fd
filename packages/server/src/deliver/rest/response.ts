/**
 * From the database's row to the HTTP answer: status, Content-Range, body. Pure; the body is encoded once and
 * the same bytes go to everybody who waits for it.
 */

import type { WriteAction } from '../published.ts';
import type { CallResult } from './call.ts';
import type { ReadResult } from './database.ts';
import { notOneRow, RestError } from './errors.ts';
import { CONTENT_TYPES, type Format, type Preferences, type Window } from './prefer.ts';
import { MAX_ROWS } from './read.ts';
import type { WriteRow } from './write.ts';

export interface RestResponse {
  status: number;
  headers: Record<string, string>;
  body: Buffer | undefined;
}

interface ReadShape {
  format: Format;
  window: Window;
  preferences: Preferences;
  prefix: string;
  headersOnly: boolean;
  /** Of a function call; a relation gives rows. */
  result: CallResult;
}

/** @throws RestError when the rows do not fit what was asked for */
export function readResponse({ row, estimate }: ReadResult, shape: ReadShape): RestResponse {
  const { format, window, preferences } = shape;
  const manyRows = shape.result === 'rows' || shape.result === 'scalars';
  if (manyRows && format.kind === 'object' && row.rows !== 1) throw notOneRow(row.rows);
  if (shape.result === 'void') return { status: 204, headers: {}, body: undefined };

  const total = totalOf(row.total, estimate, preferences.count);
  const contentRange = `${rangeOf(window.offset, row.rows)}/${total ?? '*'}`;
  if (total !== undefined && window.offset > total) {
    throw new RestError(416, 'PGRST103', 'Requested range not satisfiable', {
      details: `An offset of ${window.offset} was requested, but there are only ${total} rows.`,
      headers: { 'content-range': contentRange },
    });
  }
  return {
    status: total !== undefined && row.rows < total ? 206 : 200,
    headers: {
      'content-type':
        CONTENT_TYPES[shape.result === 'row' || shape.result === 'scalar' ? 'array' : format.kind],
      'content-range': contentRange,
      ...appliedHeader(preferences),
    },
    body: shape.headersOnly ? undefined : Buffer.from(`${shape.prefix}${row.body ?? ''}`),
  };
}

/** What a write must satisfy before it is committed. */
export function checkWrite(row: WriteRow, format: Format, preferences: Preferences): void {
  const rows = preferences.return === 'representation' ? row.rows : row.affected;
  if (format.kind === 'object' && rows !== 1) throw notOneRow(rows);
  if (preferences.maxAffected !== undefined && row.affected > preferences.maxAffected) {
    throw new RestError(400, 'PGRST124', 'Query result exceeds max-affected preference constraint', {
      details: `The query affects ${row.affected} rows`,
    });
  }
}

export function writeResponse(
  row: WriteRow,
  action: WriteAction,
  format: Format,
  preferences: Preferences,
  prefix: string,
): RestResponse {
  const represented = preferences.return === 'representation';
  const total = preferences.count === undefined ? '*' : row.affected;
  return {
    status: action === 'insert' ? 201 : represented ? 200 : 204,
    headers: {
      'content-range': `${action === 'insert' ? '*' : rangeOf(0, row.affected)}/${total}`,
      ...appliedHeader(preferences),
      ...(represented ? { 'content-type': CONTENT_TYPES[format.kind] } : {}),
    },
    body: represented ? Buffer.from(`${prefix}${row.body ?? ''}`) : undefined,
  };
}

function rangeOf(offset: number, rows: number): string {
  return rows === 0 ? '*' : `${offset}-${offset + rows - 1}`;
}

function totalOf(
  counted: string | null,
  estimate: number | undefined,
  count: Preferences['count'],
): number | undefined {
  if (count === undefined) return undefined;
  if (counted === null) return estimate;
  // `estimated` counts up to one row more than a page holds; beyond that the planner's guess takes over.
  const exact = Number(counted);
  return count === 'estimated' && exact > MAX_ROWS ? Math.max(exact, estimate ?? 0) : exact;
}

function appliedHeader(preferences: Preferences): Record<string, string> {
  return preferences.applied === '' ? {} : { 'preference-applied': preferences.applied };
}
