import type { Bucket } from '../../src/data/bucket.ts';

export const minute = 60_000;

/** A minute with 100 requests in 100 ms each, unless it is said otherwise. */
export function bucket(differences: Partial<Bucket> & Pick<Bucket, 'start'>): Bucket {
  return {
    model: 'v1',
    requests: 100,
    errors: 0,
    avgLatencyMs: 100,
    p50Ms: 90,
    p95Ms: 180,
    p99Ms: 250,
    avgConfidence: null,
    avgQuality: null,
    inputTokens: null,
    outputTokens: null,
    costUsd: null,
    rolling: null,
    updatedAt: 0,
    ...differences,
  };
}
