// Runs the built retention, or the restoring of a day, and kills its own process at the n-th step, as kill -9 does. Steps
// are, as asked for, statements about to be sent, and requests to a bucket: about to be sent, with half of their body
// sent, and answered.
import http from 'node:http';
import pg from 'pg';
import { coldPlace } from '../../dist/history/cold/place.js';
import { restoreDay } from '../../dist/history/cold/restore.js';
import { runRetention } from '../../dist/history/retention.js';

const [url, coldUrl, work, killAt, kinds] = process.argv.slice(2);
let steps = 0;
function isNow() {
  steps += 1;
  return steps === Number(killAt);
}
function die() {
  process.kill(process.pid, 'SIGKILL');
}

if (kinds.includes('statements')) {
  const { query } = pg.Client.prototype;
  pg.Client.prototype.query = function (...args) {
    if (isNow()) die();
    return query.apply(this, args);
  };
}
if (kinds.includes('requests')) {
  const { request } = http;
  http.request = (...args) => {
    if (isNow()) die();
    const made = request(...args);
    made.once('response', () => {
      if (isNow()) die();
    });
    const { write } = made;
    made.write = (chunk, ...rest) => {
      if (!isNow()) return write.call(made, chunk, ...rest);
      write.call(made, chunk.subarray(0, chunk.length / 2), die);
      return false;
    };
    return made;
  };
}

const pool = new pg.Pool({ connectionString: url, max: 1, application_name: 'killed' });
const place = coldPlace(coldUrl);
if (work === 'retention') {
  await runRetention(pool, { hotDays: 30, minuteDays: 3650, coldDays: undefined, place });
} else {
  const client = await pool.connect();
  await restoreDay(client, place, work, 7);
  client.release();
}
await pool.end();
