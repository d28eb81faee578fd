/** The short form of `npm run faults`: a few faults of each kind, and every promise checked. */
import path from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import type { Fault } from '../../../bench/src/faults/nemesis.ts';
import { summarize } from '../../../bench/src/faults/report.ts';
import { runFaults } from '../../../bench/src/faults/run.ts';
import { SmallDisk } from '../../../bench/src/faults/smallDisk.ts';
import { buildServer, temporaryDirectory } from './support/processes.ts';

beforeAll(buildServer);

async function strike(database: 'own' | 'given' | 'small disk', faults: readonly Fault[]) {
  const historyFile = path.join(await temporaryDirectory(), 'history.jsonl');
  const run = await runFaults({
    database,
    faults,
    seed: 1,
    stopMs: [500, 1_000],
    floodMs: 0,
    minAcknowledged: 0,
    // Machines that run tests are busy.
    deliveryLagMs: 10_000,
    historyFile,
    say: () => undefined,
  });
  expect(summarize([run]).broken).toEqual([]);
  expect(run.acknowledged).toBeGreaterThan(0);
  return run;
}

test('every acknowledged event is stored once while the server and its PostgreSQL are killed', {
  timeout: 300_000,
}, async () => {
  const { faults } = await strike('own', [
    'kill writer backend',
    'kill server',
    'stop PostgreSQL',
    'set the clock',
    'kill PostgreSQL',
  ]);
  for (const { requestsInFlight } of faults) expect(requestsInFlight).toBeGreaterThan(0);
});

test('every acknowledged event is stored once while answers to commits are lost', {
  timeout: 300_000,
}, async () => {
  const { faults } = await strike('given', [
    'cut the answer to a commit',
    'terminate writer backend',
    'cut the answer to a commit',
    'kill server',
  ]);
  expect(faults).toHaveLength(4);
});

test('every acknowledged event is stored once while PostgreSQL refuses: no connection left, read-only, a batch id held open', {
  timeout: 300_000,
}, async () => {
  const { faults } = await strike('given', [
    'use up the connections',
    'make PostgreSQL read-only',
    'hold a batch id',
  ]);
  expect(faults).toHaveLength(3);
});

test.skipIf(SmallDisk.missing())(
  'every acknowledged event is stored once while the disk is full, and the server goes on by itself',
  { timeout: 300_000 },
  async () => {
    const { faults } = await strike('small disk', ['fill the disk', 'kill server']);
    expect(faults).toHaveLength(2);
  },
);
