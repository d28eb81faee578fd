/**
 * Bare COPY, the fastest durable way into the table: one client process, one connection, rows encoded
 * beforehand, 10,000 rows a commit. Nothing else happens: no summary, no feed, no NOTIFY, no HTTP.
 */
import { once } from 'node:events';
import pg from 'pg';
import { from as copyFrom } from 'pg-copy-streams';
import { COPY_COLUMNS, copyLine, type EventPool, makeEvents } from '../events.ts';
import { serveTask } from './task.ts';

export interface CopyLoad {
  databaseUrl: string;
  table: string;
  rowsPerCommit: number;
  events: EventPool;
  warmUpMs: number;
  measureMs: number;
}

export interface CopyLoadResult {
  eventsPerSecond: number;
  seconds: number;
  /** Rows committed over the whole run, warm-up included. */
  acknowledged: number;
}

serveTask<CopyLoad, CopyLoadResult>(async (load, { window }) => {
  const chunks = encode(load);
  const client = new pg.Client({ connectionString: load.databaseUrl });
  await client.connect();
  let commits = 0;
  const commitUntil = async (endMs: number) => {
    do {
      const copy = client.query(copyFrom(`COPY ${load.table} (${COPY_COLUMNS.join(', ')}) FROM STDIN`));
      copy.end(chunks[commits % chunks.length]);
      await once(copy, 'finish');
      commits++;
    } while (performance.now() < endMs);
  };
  await commitUntil(performance.now() + load.warmUpMs);
  const warmUpCommits = commits;
  window('open');
  const openedAt = performance.now();
  await commitUntil(openedAt + load.measureMs);
  // Whole commits only: the clock stops with the last one.
  const seconds = (performance.now() - openedAt) / 1000;
  window('close');
  await client.end();
  return {
    eventsPerSecond: ((commits - warmUpCommits) * load.rowsPerCommit) / seconds,
    seconds,
    acknowledged: commits * load.rowsPerCommit,
  };
});

function encode(load: CopyLoad): Buffer[] {
  const lines = makeEvents(load.events).map(copyLine);
  return Array.from({ length: Math.floor(lines.length / load.rowsPerCommit) }, (_, index) =>
    Buffer.from(lines.slice(index * load.rowsPerCommit, (index + 1) * load.rowsPerCommit).join('')),
  );
}
