import type { InferenceEvent } from '../../data/event.ts';
import { percent } from '../../data/format.ts';

/**
 * What the tail says where the server samples: its rows themselves tell which share of ordinary events is kept. Undefined
 * while each row stands for itself alone.
 */
export function keptShare(events: readonly InferenceEvent[]): string | undefined {
  // The newest that stands for others: the share may follow the traffic.
  const weight = events.find(({ sampleWeight }) => sampleWeight > 1)?.sampleWeight;
  if (weight === undefined) return undefined;
  return `about ${percent(100 / weight)} of ordinary events are kept; the figures count all`;
}
