/** Messages a second from one process to a thousand open sockets, when more are offered than it can deliver. */
import type { Bench } from '../bench.ts';
import { alone, isMissing, type Row, type Samples } from '../row.ts';
import { type Case, deliver } from './delivery.ts';
import type { Measurement } from './measurement.ts';

const OFFERED: Case = {
  what: '1,200 events/s in batches of 40, 1,000 sockets',
  eventsPerSecond: 1_200,
  batchSize: 40,
  sockets: 1_000,
};

export const fanout: Measurement = {
  name: 'fanout',
  title: `fan-out: ${OFFERED.what}`,
  slow: true,
  run,
};

async function run(bench: Bench): Promise<Row[]> {
  const nowcast = await bench.nowcast();
  const delivered: Samples<number> = isMissing(nowcast) ? nowcast : [];
  if (!isMissing(nowcast) && Array.isArray(delivered)) {
    for (let round = 0; round < (bench.plan.quick ? 1 : 3); round++) {
      const result = await deliver(bench, nowcast, OFFERED);
      delivered.push(result.messagesPerSecond);
      bench.log(`  ${result.messages} messages came, ${result.lost} did not`);
    }
  }
  return [
    alone({
      what: `delivered, ${OFFERED.what}`,
      unit: 'messages/s',
      ours: delivered,
      target: { atLeast: 1_000_000 },
    }),
  ];
}
