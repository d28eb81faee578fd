import type { Ledger } from '../health/ledger.ts';
import { OverloadedError } from '../store/request.ts';
import { HttpError } from './httpError.ts';

/**
 * Counts a request that was answered before its events were seen, as one event unless more is known. Callers who may not
 * write at all are not counted: anybody could fill the table.
 */
export function countUnread(
  ledger: Pick<Ledger, 'count'>,
  senderOf: () => string,
  error: unknown,
  events = 1,
): void {
  if (error instanceof OverloadedError) ledger.count(senderOf(), 'refused', 'overloaded', events);
  else if (!(error instanceof HttpError) || error.statusCode === 401 || error.statusCode === 403) return;
  else if (error.statusCode === 429) ledger.count(senderOf(), 'refused', error.code, events);
  else ledger.count(senderOf(), 'rejected', error.code, events);
}
