/** Spans a second by OTLP in protobuf, prompts included, as exporters send them. */
import type { Bench } from '../bench.ts';
import { alone, isMissing, type Row } from '../row.ts';
import { alternate, type Measurement, turn } from './measurement.ts';

const CONNECTIONS = 4;
/** What the batch processors of the SDKs send at once. */
const SPANS = 512;

export const otlp: Measurement = {
  name: 'otlp',
  title: `OTLP, ${SPANS} spans of 2 kB a request, ${CONNECTIONS} in flight`,
  run,
};

async function run(bench: Bench): Promise<Row[]> {
  const { rounds, warmUpMs, measureMs } = bench.plan;
  const load = { connections: CONNECTIONS, spansPerRequest: SPANS, warmUpMs, measureMs };
  const { spans } = await alternate(rounds, {
    spans: turn(await bench.nowcast(), (side) => bench.otlp('OTLP: Nowcast', side, load)),
  });
  const rates = isMissing(spans) ? spans : spans.map(({ eventsPerSecond }) => eventsPerSecond);
  return [alone({ what: 'OTLP spans stored', unit: 'spans/s', ours: rates, target: { atLeast: 30_000 } })];
}
