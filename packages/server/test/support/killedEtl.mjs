// Runs the built closing of periods and kills its own process, as kill -9 does, instead of sending the n-th statement.
import pg from 'pg';
import { closePeriods } from '../../dist/history/etl.js';

const [url, to, killAt] = process.argv.slice(2);
let statements = 0;
const query = pg.Client.prototype.query;
pg.Client.prototype.query = function (...args) {
  statements += 1;
  if (statements === Number(killAt)) process.kill(process.pid, 'SIGKILL');
  return query.apply(this, args);
};
const pool = new pg.Pool({ connectionString: url, max: 1, application_name: 'killed etl' });
await closePeriods(pool, { zone: 'UTC', to });
await pool.end();
