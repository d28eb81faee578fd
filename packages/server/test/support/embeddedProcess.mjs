// A process that runs the embedded PostgreSQL and can be killed: `node embeddedProcess.mjs DATA_DIR`. Prints one JSON
// line when PostgreSQL is ready; ends cleanly when its stdin does.
import { startEmbedded } from '../../dist/store/embedded/embedded.js';

const embedded = await startEmbedded({
  dataDir: process.argv[2],
  log: { info: () => undefined, warn: (message) => console.error(message) },
});
console.log(JSON.stringify({ url: embedded.url, pid: embedded.pid, watchdogPid: embedded.watchdogPid }));
process.stdin.resume().once('end', async () => {
  await embedded.stop();
  process.exit(0);
});
