/** Archives a day again and again at the pace of each night, until it is told to stop. Nothing is dropped. */
import { once } from 'node:events';
import { archiveDay } from 'nowcast/dist/history/cold/archive.js';
import { coldPlace } from 'nowcast/dist/history/cold/place.js';
import pg from 'pg';
import { serveTask } from './task.ts';

export interface ArchiveLoad {
  databaseUrl: string;
  coldUrl: string;
  /** `YYYY-MM-DD`, and its table. */
  day: string;
  relation: string;
}

export interface ArchiveLoadResult {
  /** Of all days that were archived and read back since it was ready. */
  rows: number;
}

serveTask<ArchiveLoad, ArchiveLoadResult>(async ({ databaseUrl, coldUrl, day, relation }, side) => {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  const place = coldPlace(coldUrl);
  const stop = new AbortController();
  side.onTold(() => stop.abort());
  await archiveDay(client, place, day, relation);
  side.ready();
  let rows = 0;
  const archiving = (async () => {
    for (;;) rows += (await archiveDay(client, place, day, relation, { pace: 'gentle' })).rows;
  })();
  await Promise.race([archiving, once(stop.signal, 'abort')]);
  return { rows };
});
