import { explain } from 'nowcast/dist/alert/explanation.js';
import { migrate } from 'nowcast/dist/store/migrate.js';
import { Partitions } from 'nowcast/dist/store/partitions.js';
import pg from 'pg';
import { startPostgres } from '../side/postgres.ts';
import { daysOf, type Told, tellAll } from './explained.ts';

const incidents = 200;
const maxMissesShown = 10;

/** How often the right cause comes first, on a database with the rows of each incident. */
export async function printExplanations(): Promise<void> {
  const postgres = await startPostgres();
  const pool = new pg.Pool({ connectionString: await postgres.createDatabase('explained'), max: 2 });
  pool.on('error', () => undefined);
  try {
    await migrate(pool.options.connectionString!);
    const kinds = Array.from({ length: 2 * incidents }, (_, i) => ({
      seed: 1 + Math.floor(i / 2),
      isPlanted: i % 2 === 0,
    }));
    await new Partitions(pool).ensureAround(Date.now() * 1000, daysOf(kinds.length));
    const told: Told[] = [];
    for await (const one of tellAll(pool, explain, kinds, Math.floor(Date.now() / 60_000) * 60_000)) {
      told.push(one);
      if (told.length % 50 === 0) process.stderr.write(`explained ${told.length} of ${kinds.length}\n`);
    }
    print(told);
  } finally {
    await pool.end();
    await postgres.stop();
  }
}

function print(told: readonly Told[]): void {
  console.log(
    `\nExplanations of ${incidents} incidents with a planted cause and ${incidents} without one (${Math.round(
      told.reduce((sum, { incident }) => sum + incident.events.length, 0) / told.length,
    ).toLocaleString(
      'en-US',
    )} events each on average, median ${median(told.map(({ ms }) => ms)).toFixed(0)} ms):\n`,
  );
  console.log('| cause | errors | latency | confidence | all |\n|---|---:|---:|---:|---:|');
  const causes = ['model_version', 'feature', 'variant', 'user_id', 'error_message'] as const;
  const row = (name: string, of: readonly Told[]) => {
    const cells = (['error_rate', 'latency', 'confidence'] as const).map((metric) =>
      rightOf(of.filter(({ incident }) => incident.metric === metric)),
    );
    console.log(`| ${[name, ...cells, rightOf(of)].join(' | ')} |`);
  };
  for (const cause of causes)
    row(
      cause,
      told.filter(({ incident }) => incident.cause?.dimension === cause),
    );
  const planted = told.filter(({ incident }) => incident.cause !== undefined);
  row('any: the right one first', planted);
  row(
    'none: says so',
    told.filter(({ incident }) => incident.cause === undefined),
  );
  const wrong = told.filter(({ isRight }) => !isRight);
  for (const { seed, incident, explanation } of wrong.slice(0, maxMissesShown))
    console.log(`\nWrong, seed ${seed} (${incident.about}): ${explanation.cause_sentence}`);
}

function rightOf(told: readonly Told[]): string {
  if (told.length === 0) return '';
  return `${told.filter(({ isRight }) => isRight).length} of ${told.length}`;
}

const median = (values: readonly number[]) =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
