export { parseBudget } from './budget.ts';
export { RateDetector } from './rateDetector.ts';
export { SeriesDetector } from './seriesDetector.ts';
export type { Verdict } from './verdict.ts';
