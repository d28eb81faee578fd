/** What PostgreSQL and its programs say about a full disk; they are set to English. */
const words = /No space left on device|Disk quota exceeded|wrote only \d+ of \d+ bytes/;
/** Of Node, and PostgreSQL's SQLSTATE. */
const codes = ['ENOSPC', 'EDQUOT', '53100'];

/** Whether words of PostgreSQL, or an error with its causes, mean that a disk is full. */
export function meansDiskFull(said: unknown): boolean {
  if (typeof said === 'string') return words.test(said);
  if (!(said instanceof Error)) return false;
  const { code } = said as { code?: string };
  return codes.includes(code ?? '') || words.test(said.message) || meansDiskFull(said.cause);
}
