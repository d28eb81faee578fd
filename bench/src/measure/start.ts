/** `nowcast start` on a data directory that exists, embedded PostgreSQL included, until /ready answers 200. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Bench } from '../bench.ts';
import { alone, isMissing, type Missing, type Row, type Samples } from '../row.ts';
import { startNowcast } from '../side/nowcast.ts';
import type { Measurement } from './measurement.ts';

const WARM_STARTS = 3;

export const start: Measurement = { name: 'start', title: 'start to ready, embedded PostgreSQL', run };

async function run(bench: Bench): Promise<Row[]> {
  const folder = mkdtempSync(join(tmpdir(), 'nowcast-bench-start-'));
  try {
    const first = await startOnce(folder);
    const warm: Samples<number> = isMissing(first) ? first : [];
    while (Array.isArray(warm) && warm.length < (bench.plan.quick ? 1 : WARM_STARTS)) {
      const next = await startOnce(folder);
      if (!isMissing(next)) warm.push(next.seconds);
    }
    const cold = isMissing(first) ? first : [first.seconds];
    if (Array.isArray(warm))
      bench.log(`  warm starts: ${warm.map((seconds) => seconds.toFixed(2)).join(', ')} s`);
    return [
      alone({ what: 'first start to ready (makes the cluster)', unit: 's', ours: cold }),
      alone({ what: 'warm start to ready', unit: 's', ours: warm, target: { atMost: 2 } }),
    ];
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function startOnce(dataDir: string): Promise<{ seconds: number } | Missing> {
  const side = await startNowcast({ dataDir }, { inspect: false });
  if (isMissing(side)) return side;
  await side.stop();
  return { seconds: side.readyAfterMs / 1_000 };
}
