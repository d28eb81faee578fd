import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { startEmbedded } from 'nowcast/dist/store/embedded/embedded.js';
import { sleep } from '../load/clock.ts';
import { freePort } from '../side/process-tree.ts';
import { checkStorage, type StorageVerdict } from './check.ts';
import { History } from './history.ts';
import { Load } from './load.ts';
import { type Fault, type FaultRecord, Nemesis, seededRandom } from './nemesis.ts';
import { NowcastProcess, PostgresProcesses } from './processes.ts';
import { CommitCutter } from './proxy.ts';
import { SmallDisk } from './smallDisk.ts';
import { type DeliveryVerdict, Subscriber } from './subscriber.ts';

export interface Plan {
  /** 'own': the server runs PostgreSQL itself, 'small disk': on one that can be filled. 'given': through a line that can be cut. */
  readonly database: 'own' | 'given' | 'small disk';
  readonly faults: readonly Fault[];
  readonly seed: number;
  readonly stopMs: readonly [number, number];
  readonly floodMs: number;
  /** After the faults the load goes on until this many events are acknowledged. */
  readonly minAcknowledged: number;
  /** Delivery may lag behind the acknowledgement by this much. */
  readonly deliveryLagMs: number;
  readonly historyFile: string;
  readonly say: (line: string) => void;
}

export interface RunReport {
  readonly sent: number;
  readonly acknowledged: number;
  readonly outcomes: History['outcomes'];
  readonly unexpected: readonly string[];
  readonly storage: StorageVerdict;
  readonly delivery: DeliveryVerdict;
  readonly faults: readonly FaultRecord[];
  readonly durationMs: number;
}

const drainLimitMs = 60_000;
const quietMs = 1_500;
/** A cluster has about 150 MB with the programs; the rest is for a minute's events. */
const smallDiskBytes = 768 * 2 ** 20;

/** One run: start, load, faults, quiet, check. Everything it makes is gone afterwards, but the history file. */
export async function runFaults(plan: Plan): Promise<RunReport> {
  const startedAt = performance.now();
  // Clocks were set back, too.
  const since = new Date(Date.now() - 5 * 86_400_000);
  const folder = mkdtempSync(path.join(tmpdir(), 'nowcast-faults-'));
  const closers: (() => unknown)[] = [() => rmSync(folder, removal)];
  try {
    let dataDir = path.join(folder, 'data');
    const environment: Record<string, string> = { NOWCAST_DATA_DIR: dataDir };
    let cutter: CommitCutter | undefined;
    let disk: SmallDisk | undefined;
    if (plan.database === 'small disk') {
      disk = await SmallDisk.mount(path.join(folder, 'disk'), smallDiskBytes);
      closers.push(() => disk!.close());
      environment.NOWCAST_DATA_DIR = path.join(disk.folder, 'data');
      dataDir = path.join(disk.outside, 'data');
    }
    if (plan.database === 'given') {
      const log = { info: () => {}, warn: () => {} };
      const embedded = await startEmbedded({ dataDir, log, purpose: 'faults' });
      closers.push(() => embedded.stop());
      cutter = await CommitCutter.to(embedded.url);
      closers.push(() => cutter!.close());
      environment.DATABASE_URL = cutter.url;
      environment.NOWCAST_DATA_DIR = path.join(folder, 'unused');
    }
    const clockFile = path.join(folder, 'clock');
    const server = new NowcastProcess(await freePort(), environment, clockFile, disk?.prefix);
    closers.push(() => server.close());
    await server.start();
    const postgres = new PostgresProcesses(dataDir);
    const history = new History(plan.historyFile, plan.database);
    const subscriber = new Subscriber(`http://127.0.0.1:${server.port}`, plan.deliveryLagMs);
    closers.push(() => subscriber.close());
    const load = new Load(server.port, history);
    // A backend that is left standing still would hold up the end of everything.
    closers.push(() => postgres.resume());
    const random = seededRandom(plan.seed);
    const { stopMs, floodMs } = plan;
    const nemesis = new Nemesis({ server, postgres, cutter, disk, load, history, random, stopMs, floodMs });
    for (const fault of plan.faults) {
      await nemesis.strike(fault);
      const { recoveryMs, requestsInFlight, inTransaction } = nemesis.records.at(-1)!;
      plan.say(
        `${String(nemesis.records.length).padStart(3)}/${plan.faults.length} ${fault}: ${requestsInFlight} requests in flight${inTransaction ? ', in a transaction' : ''}; back after ${recoveryMs} ms; ${history.acknowledgedEvents} acknowledged`,
      );
    }
    while (history.acknowledgedEvents < plan.minAcknowledged) {
      if (!(await history.nextAcknowledgement(drainLimitMs)))
        throw new Error('nothing is acknowledged any more');
    }
    await load.stop();
    const endMs = performance.now() + drainLimitMs;
    // A slow machine pauses too: what is missing gets the whole time.
    const isDelivered = () =>
      subscriber.quietForMs >= quietMs && subscriber.judge(history).missing.length === 0;
    while (!isDelivered() && performance.now() < endMs) await sleep(50);
    const storage = await checkStorage(postgres, history, since);
    await history.close();
    return {
      sent: history.sentEvents,
      acknowledged: history.acknowledgedEvents,
      outcomes: history.outcomes,
      unexpected: history.unexpected,
      storage,
      delivery: subscriber.judge(history),
      faults: nemesis.records,
      durationMs: performance.now() - startedAt,
    };
  } finally {
    for (const close of closers.reverse()) await close();
  }
}

/** A killed PostgreSQL may still be closing its files. */
const removal = { recursive: true, force: true, maxRetries: 20, retryDelay: 100 } as const;
