import type { Dimension } from './attribution.ts';
import { errorPattern } from './errorPattern.ts';

interface TextCount {
  readonly text: string;
  readonly before: number;
  readonly after: number;
}

/** Errors by text, numbers and ids in it taken out: how many of each there were, for as many calls. */
export function errorTexts(
  counts: readonly TextCount[],
  total: Dimension['total'],
  weight: number,
): Dimension {
  const byPattern = new Map<string, { before: number; after: number }>();
  for (const { text, before, after } of counts) {
    const pattern = errorPattern(text);
    const known = byPattern.get(pattern) ?? { before: 0, after: 0 };
    byPattern.set(pattern, { before: known.before + before, after: known.after + after });
  }
  const counted = (n: number) => ({ n, sum: n, sumSq: n });
  return {
    name: 'error_message',
    measure: { kind: 'volume', scale: total.before.n === 0 ? 0 : total.after.n / total.before.n },
    total: { before: counted(total.before.sum), after: counted(total.after.sum) },
    slices: [...byPattern].map(([value, sides]) => ({
      value,
      before: counted(sides.before),
      after: counted(sides.after),
    })),
    valueCount: byPattern.size,
    weight,
    // Errors are always kept.
    spread: 1,
  };
}
