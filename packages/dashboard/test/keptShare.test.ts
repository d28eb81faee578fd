import { describe, expect, test } from 'vitest';
import { readEvent } from '../src/data/event.ts';
import { keptShare } from '../src/live/tail/keptShare.ts';

const event = (sample_weight: number | null) =>
  readEvent({
    id: 1,
    timestamp: '2026-01-01T00:00:00Z',
    model_version: 'v1',
    inference_time_ms: 1,
    sample_weight,
  });

describe('the tail', () => {
  test('says nothing of sampling while each row stands for itself', () => {
    expect(keptShare([])).toBeUndefined();
    expect(keptShare([event(null), event(null)])).toBeUndefined();
  });

  test('tells the share of the newest row that stands for others', () => {
    expect(keptShare([event(null), event(10), event(4)])).toBe(
      'about 10 % of ordinary events are kept; the figures count all',
    );
  });
});
