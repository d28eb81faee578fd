import process from 'node:process';
import type { Hooked, Hooks } from './nowcast.ts';

/** Marks our listeners, also those of another copy of this package. */
const ours = Symbol.for('nowcast-client.exit');

/**
 * Flushes when the process has nothing left to do, and before SIGTERM ends it.
 *
 * @param exitTimeoutMs the end of a process waits for the collector no longer than this
 */
export function exitHooks(exitTimeoutMs = 700): Hooks {
  let hooked: Hooked | undefined;
  let triedWith = 0;
  // Emitted again after each flush: a dead collector must not keep the process for ever.
  const beforeExit = () => {
    const queued = hooked?.queued ?? 0;
    if (hooked === undefined || queued === 0 || queued === triedWith) return;
    triedWith = queued;
    void hooked.flushOrAbandon(exitTimeoutMs).then(() => {
      triedWith = hooked?.queued ?? 0;
    });
  };
  const onTerm = Object.assign(
    () => {
      if (hooked === undefined) return;
      // With listeners of the host's own, the host decides when it ends; without, SIGTERM still ends it.
      const hostDecides = process.listeners('SIGTERM').some((one) => !Object.hasOwn(one, ours));
      if (hostDecides) void hooked.flushOrAbandon(exitTimeoutMs);
      else
        void hooked.close(exitTimeoutMs).then(() => {
          process.removeListener('SIGTERM', onTerm);
          if (process.listenerCount('SIGTERM') === 0) process.kill(process.pid, 'SIGTERM');
        });
    },
    { [ours]: true },
  );
  return {
    add(given) {
      hooked = given;
      process.on('beforeExit', beforeExit);
      // First, so that listeners that remove themselves are still seen.
      process.prependListener('SIGTERM', onTerm);
    },
    remove() {
      process.removeListener('beforeExit', beforeExit);
      process.removeListener('SIGTERM', onTerm);
    },
  };
}
