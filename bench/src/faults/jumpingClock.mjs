/**
 * Preloaded into the server (`--import`): its wall clock, and nothing else on the machine, is off by the milliseconds in
 * the file that FAULTS_CLOCK_FILE names. SIGUSR2 makes it read the file again. The monotonic clock goes on, as when an
 * administrator or a virtual machine sets the time. Plain JavaScript: it runs before anything is loaded.
 */
import { readFileSync } from 'node:fs';

const RealDate = Date;
let shiftMs = 0;

function read() {
  shiftMs = Number(readFileSync(process.env.FAULTS_CLOCK_FILE, 'utf8'));
}

const now = () => RealDate.now() + shiftMs;

read();
process.on('SIGUSR2', read);
globalThis.Date = new Proxy(RealDate, {
  apply: () => String(new RealDate(now())),
  construct: (_target, given, type) =>
    Reflect.construct(RealDate, given.length === 0 ? [now()] : given, type),
  get: (target, name) => (name === 'now' ? now : Reflect.get(target, name)),
});
