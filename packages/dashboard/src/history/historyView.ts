import { go, usePlace } from '../app/router.ts';
import { isoDay, type Last, readStretch, type Stretch, type Unit } from './period.ts';

/** What of the History page stands in its URL. */

export type LatencyMeasure = 'p50' | 'p95' | 'p99' | 'mean';

export interface HistoryView {
  readonly stretch: Stretch;
  readonly model: string | undefined;
  readonly latency: LatencyMeasure;
}

export function useHistoryView(today: number): HistoryView {
  const { params } = usePlace();
  const latency = params.get('latency');
  return {
    stretch: readStretch(
      { by: params.get('by'), last: params.get('last'), from: params.get('from'), to: params.get('to') },
      today,
    ),
    model: params.get('model') ?? undefined,
    latency: latency === 'p50' || latency === 'p99' || latency === 'mean' ? latency : 'p95',
  };
}

export function showUnit(unit: Unit): void {
  go({ params: { by: unit === 'day' ? null : unit } });
}

export function showLast(last: Last): void {
  go({ params: { last: last === '30d' ? null : last, from: null, to: null } });
}

export function showDays(from: number, to: number, unit?: Unit): void {
  const by = unit === undefined ? {} : { by: unit === 'day' ? null : unit };
  go({ params: { last: null, from: isoDay(from), to: isoDay(to), ...by } });
}

export function showModel(model: string | undefined): void {
  go({ params: { model: model ?? null } });
}

export function showLatency(measure: LatencyMeasure): void {
  go({ params: { latency: measure === 'p95' ? null : measure } }, { replace: true });
}
