import type { Labels } from './judge.ts';

/** What a sentence calls the series. */
export function nameOf(labels: Labels): string {
  return labels.model_version ?? labels.client ?? 'all models';
}
