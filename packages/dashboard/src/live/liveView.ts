import { go, usePlace } from '../app/router.ts';
import { defaultRange, type Range, type RangeId, rangeById } from '../data/range.ts';

/** What of the Live page stands in its URL. */

export type LatencyMeasure = 'p50' | 'p95' | 'p99' | '5m' | '1h' | 'all';
export type ErrorMeasure = 'each' | '5m' | '1h';

export interface LiveView {
  readonly range: Range;
  /** The one model version that is looked at; undefined for all. */
  readonly model: string | undefined;
  readonly latency: LatencyMeasure | undefined;
  readonly errors: ErrorMeasure;
  readonly events: EventsWindow | undefined;
}

/** Events that are listed: of a point of a chart, or of an alert. */
export interface EventsWindow {
  readonly since: number;
  readonly until: number;
  readonly model: string | undefined;
  readonly onlyErrors: boolean;
}

const latencyMeasures: readonly string[] = [
  'p50',
  'p95',
  'p99',
  '5m',
  '1h',
  'all',
] satisfies LatencyMeasure[];

export function useLiveView(): LiveView {
  const { params } = usePlace();
  const latency = params.get('latency');
  const errors = params.get('errors');
  return {
    range: rangeById(params.get('range')),
    model: params.get('model') ?? undefined,
    latency: latency !== null && latencyMeasures.includes(latency) ? (latency as LatencyMeasure) : undefined,
    errors: errors === '5m' || errors === '1h' ? errors : 'each',
    events: readEvents(params),
  };
}

export function showRange(id: RangeId): void {
  go({ params: { range: id === defaultRange.id ? null : id } });
}

export function showModel(model: string | undefined): void {
  go({ params: { model: model ?? null } });
}

export function showLatency(measure: LatencyMeasure): void {
  go({ params: { latency: measure } }, { replace: true });
}

export function showErrors(measure: ErrorMeasure): void {
  go({ params: { errors: measure === 'each' ? null : measure } }, { replace: true });
}

export function showEvents({ since, until, model, onlyErrors }: EventsWindow): void {
  const params = {
    at: new Date(since).toISOString(),
    for: String(Math.max(1, Math.round((until - since) / 1_000))),
    of: model ?? null,
    only: onlyErrors ? 'errors' : null,
  };
  go({ params });
}

export function hideEvents(): void {
  go({ params: { at: null, for: null, of: null, only: null } });
}

function readEvents(params: URLSearchParams): EventsWindow | undefined {
  const since = Date.parse(params.get('at') ?? '');
  const seconds = Number(params.get('for') ?? 60);
  if (Number.isNaN(since) || !(seconds > 0)) return undefined;
  return {
    since,
    until: since + seconds * 1_000,
    model: params.get('of') ?? undefined,
    onlyErrors: params.get('only') === 'errors',
  };
}
