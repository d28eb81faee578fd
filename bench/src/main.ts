/** `npm run bench`: runs the measurements one after another and prints one table. */
import { writeFileSync } from 'node:fs';
import { Bench } from './bench.ts';
import { alerts } from './measure/alerts.ts';
import { batch } from './measure/batch.ts';
import { delivery } from './measure/delivery.ts';
import { fanout } from './measure/fanout.ts';
import { history } from './measure/history.ts';
import type { Measurement } from './measure/measurement.ts';
import { memory } from './measure/memory.ts';
import { otlp } from './measure/otlp.ts';
import { page } from './measure/page.ts';
import { queries } from './measure/queries.ts';
import { single } from './measure/single.ts';
import { start } from './measure/start.ts';
import { storage } from './measure/storage.ts';
import { tabs } from './measure/tabs.ts';
import { type Plan, parsePlan, USAGE, UsageError } from './options.ts';
import { machine, markdownTable, profileReport, textTable } from './report.ts';
import type { Row } from './row.ts';

const MEASUREMENTS: Measurement[] = [
  single,
  batch,
  otlp,
  delivery,
  fanout,
  tabs,
  page,
  memory,
  start,
  queries,
  history,
  storage,
  alerts,
];

async function main(): Promise<void> {
  const names = MEASUREMENTS.map(({ name }) => name);
  const plan = parsePlan(process.argv.slice(2), names);
  if (plan === 'help') {
    process.stdout.write(`${USAGE}\nMeasurements: ${names.join(', ')}\n`);
    return;
  }
  const log = (line: string) => process.stderr.write(`${line}\n`);
  const bench = await Bench.open(plan, log);
  const stop = () => {
    void bench.close().finally(() => process.exit(130));
  };
  process.once('SIGINT', stop);
  process.once('SIGTERM', stop);
  try {
    const rows: Row[] = [];
    for (const measurement of MEASUREMENTS) {
      if (!wanted(measurement, plan)) continue;
      log(measurement.title);
      rows.push(...(await measurement.run(bench)));
    }
    rows.push(await bench.verify());
    const conditions = await machine(bench);
    if (plan.profile) process.stdout.write(`\n${profileReport(bench)}\n`);
    process.stdout.write(`\n${textTable(rows)}\n${conditions}\n`);
    if (plan.saveTo !== null) {
      writeFileSync(plan.saveTo, `${markdownTable(rows)}\n\`\`\`text\n${conditions}\n\`\`\`\n`);
    }
  } finally {
    process.off('SIGINT', stop);
    process.off('SIGTERM', stop);
    await bench.close();
  }
}

function wanted({ name, slow, byName }: Measurement, plan: Plan): boolean {
  if (plan.only.length > 0) return plan.only.includes(name);
  return byName !== true && !(plan.quick && slow === true);
}

main().catch((error: unknown) => {
  if (error instanceof UsageError) {
    process.stderr.write(`${error.message}\n\n${USAGE}`);
    process.exitCode = 2;
    return;
  }
  process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  process.exitCode = 1;
});
