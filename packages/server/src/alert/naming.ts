import { formatPercent } from '../process/detect/words.ts';
import type { Baseline } from './baseline.ts';
import type { Labels } from './judge.ts';

/** What a sentence calls the series. */
export function nameOf(labels: Labels): string {
  return labels.model_version ?? labels.client ?? 'all models';
}

/** What a sentence says of the error share to be expected. */
export function usually({ errorShare, requests }: Baseline): string {
  return requests < 100
    ? 'and too little is known of it to say what is usual'
    : `usually ${formatPercent(errorShare)}`;
}
