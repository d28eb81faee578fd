import type { CourseNumbers, ViewName } from './course.ts';
import { formatNumber } from './words.ts';

/** Views that decide alarms; the others only rank. */
type ToldView = Exclude<ViewName, `${string}Alone`>;
export const isTold = (view: ViewName): view is ToldView => !view.endsWith('Alone');

/** The view that was surprised most, and what it saw. */
export interface Finding {
  readonly view: ToldView | 'run';
  readonly isUp: boolean;
  readonly surprise: number;
  /** How often the value came before in a row. */
  readonly run: number;
  readonly value: number;
  /** The averages before this value. */
  readonly course: CourseNumbers;
}

export function explain(finding: Finding, name: string, unit: string, expected: number | undefined): string {
  const { course, value, isUp } = finding;
  const subject = name.charAt(0).toUpperCase() + name.slice(1);
  const scale = Math.max(Math.abs(value), Math.abs(course.slow), course.usualJitter);
  const number = (of: number) => formatNumber(of, scale);
  const now = `${number(value)}${unit === '' ? '' : ` ${unit}`}`;
  const side = isUp ? 'above' : 'below';
  switch (finding.view) {
    case 'run':
      return `${subject} stands still at ${now}: ${finding.run + 1} times in a row.`;
    case 'jitter':
      return `${subject} jumps ${isUp ? 'far more' : 'far less'} than usual from point to point, now ${now}.`;
    case 'season':
      return expected === undefined
        ? `${subject} is ${now}, far ${side} the usual at this time.`
        : `${subject} is ${now}, far ${side} the usual ${number(expected)} at this time.`;
    case 'seasonDrift':
      return `${subject} has stayed ${side} its usual course for this time, now ${now}${expected === undefined ? '' : ` instead of ${number(expected)}`}.`;
    case 'smoothed':
    case 'level':
      return `${subject} moved ${isUp ? 'up' : 'down'} on the whole, from ${number(course.slow)} to ${number(course.smoothed)}${unit === '' ? '' : ` ${unit}`}.`;
    case 'fast':
    case 'middle':
    case 'slow':
      return `${subject} is ${now}, far ${side} its recent ${number(course[finding.view])}.`;
  }
}
