/** A program that closes its client and has nothing else to do: the parent sees how long it stays. */
import { Nowcast } from 'nowcast-client';

const nowcast = new Nowcast({ url: process.argv[2]!, onWarning: () => undefined });
for (let tracked = 0; tracked < 1_000; tracked++)
  nowcast.track({ model_version: 'v1', inference_time_ms: tracked });
// Closed in the middle of an attempt.
await nowcast.flush({ timeoutMs: 100 });
process.send?.('closing', () => {
  process.disconnect?.();
  void nowcast.close();
});
