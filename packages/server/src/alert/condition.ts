import type { Rule } from './judge.ts';

/** A number of the rule's condition, or the kind's default. */
export function numberOf({ condition }: Rule, key: string, byDefault: number): number {
  const value = condition[key];
  return typeof value === 'number' ? value : byDefault;
}

export function numbersOf({ condition }: Rule, key: string, byDefault: readonly number[]): readonly number[] {
  const value = condition[key];
  return Array.isArray(value) && value.every((each) => typeof each === 'number') ? value : byDefault;
}

export function textOf({ condition }: Rule, key: string, byDefault = ''): string {
  const value = condition[key];
  return typeof value === 'string' ? value : byDefault;
}
