import type { CourseNumbers, ViewName } from './course.ts';
import { formatNumber } from './words.ts';

/** The view that was surprised most, and what it saw. */
export interface Finding {
  readonly view: ViewName | 'run';
  readonly isUp: boolean;
  readonly surprise: number;
  /** How often the value came before in a row. */
  readonly run: number;
  readonly value: number;
  /** The averages before this value. */
  readonly course: CourseNumbers;
}

export function explain(finding: Finding, name: string, expected: number | undefined): string {
  const { course, value, isUp } = finding;
  const subject = name.charAt(0).toUpperCase() + name.slice(1);
  const now = formatNumber(value);
  const side = isUp ? 'above' : 'below';
  switch (finding.view) {
    case 'run':
      return `${subject} stands still at ${now}: ${finding.run + 1} times in a row.`;
    case 'jitter':
      return `${subject} jumps ${isUp ? 'far more' : 'far less'} than usual from point to point, now ${now}.`;
    case 'season':
      return `${subject} is ${now}, far ${side} the usual${expected === undefined ? '' : ` ${formatNumber(expected)}`} at this time.`;
    case 'seasonDrift':
      return `${subject} has stayed ${side} its usual course for this time, now ${now}${expected === undefined ? '' : ` instead of ${formatNumber(expected)}`}.`;
    case 'smoothed':
    case 'level':
      return `The level of ${name} moved ${isUp ? 'up' : 'down'} from ${formatNumber(course.slow)} to ${formatNumber(course.smoothed)}.`;
    case 'fast':
    case 'middle':
    case 'slow':
      return `${subject} is ${now}, far ${side} its recent ${formatNumber(course[finding.view])}.`;
  }
}
