import { closest, distance } from 'fastest-levenshtein';

/** Ends the reading with a sentence: what stands at this place, and the rule that it breaks. */
export type Fail = (place: string, rule: string) => never;

export function asObject(place: string, value: unknown, fail: Fail): Record<string, unknown> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value))
    return value as Record<string, unknown>;
  return fail(place, `must be an object, not ${kindOf(value)}`);
}

export function unknownKey(
  place: string,
  value: Readonly<Record<string, unknown>>,
  known: readonly string[],
  fail: Fail,
): void {
  for (const key of Object.keys(value)) {
    if (known.includes(key)) continue;
    const near = closest(key, [...known]);
    const hint = distance(key, near) <= 3 ? `; did you mean ${near}?` : `; it may hold ${known.join(', ')}`;
    fail(place, `has no ${key}${hint}`);
  }
}

export function kindOf(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object') return 'an object';
  return value === undefined ? 'nothing' : `the ${typeof value} ${JSON.stringify(value)}`;
}
