import { createServer } from 'node:net';

/**
 * Below the ports that systems give away by themselves (from 32768 on Linux, from 49152 elsewhere) and apart for each of
 * vitest's workers: what is free here stays free until the test listens, and while it restarts what listens.
 */
const firstPort = 11_000;
const portsOfWorker = 3_000;
const workers = 3;

const base = firstPort + portsOfWorker * (Number(process.env.VITEST_POOL_ID ?? 0) % workers);
let next = Math.floor(Math.random() * portsOfWorker);

/** A port on 127.0.0.1 where nothing listens and that nobody else is given. */
export async function reservedPort(): Promise<number> {
  for (let tries = 0; tries < portsOfWorker; tries += 1) {
    const port = base + (next++ % portsOfWorker);
    if (await isFree(port)) return port;
  }
  throw new Error('every port of this worker is taken');
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', () => resolve(false));
    probe.listen({ port, host: '127.0.0.1', exclusive: true }, () => probe.close(() => resolve(true)));
  });
}
