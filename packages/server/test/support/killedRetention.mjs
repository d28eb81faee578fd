// Runs the built retention and kills its own process, as kill -9 does, instead of sending the n-th statement.
import pg from 'pg';
import { coldPlace } from '../../dist/history/cold/place.js';
import { runRetention } from '../../dist/history/retention.js';

const [url, coldUrl, killAt] = process.argv.slice(2);
let statements = 0;
const query = pg.Client.prototype.query;
pg.Client.prototype.query = function (...args) {
  statements += 1;
  if (statements === Number(killAt)) process.kill(process.pid, 'SIGKILL');
  return query.apply(this, args);
};
const pool = new pg.Pool({ connectionString: url, max: 1 });
await runRetention(pool, {
  hotDays: 30,
  minuteDays: 3650,
  coldDays: undefined,
  place: coldPlace(coldUrl),
});
await pool.end();
