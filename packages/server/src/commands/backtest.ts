import { readFile } from 'node:fs/promises';
import type { Command } from 'commander';
import type pg from 'pg';
import { type Backtest, type BacktestedAlert, backtest } from '../alert/backtest/backtest.ts';
import { candidateOf, InvalidRule } from '../alert/backtest/candidate.ts';
import { formatDuration } from '../process/detect/words.ts';
import { StartupError } from '../startupError.ts';
import { count } from './etl.ts';
import { withMigratedPool } from './historyDatabase.ts';
import { progressBar } from './progress.ts';
import { parseDurationMs } from './simulate/options.ts';

interface Options {
  readonly set?: readonly string[];
  readonly rule?: string;
  readonly since?: string;
  readonly until?: string;
  readonly json?: boolean;
}

const maxAlertsPrinted = 50;

export function addBacktestCommand(program: Command): void {
  program
    .command('backtest')
    .argument('[name]', 'a rule of alert_rules')
    .description('what a rule, or a change of one, would have done over stored history')
    .option(
      '--set <field=value>',
      'try the rule with a change, such as condition.factor=3 or min_events=20',
      (value: string, before: readonly string[] = []) => [...before, value],
    )
    .option('--rule <json>', 'try this rule: JSON, or a file that holds it')
    .option('--since <time>', 'begin there: a time (ISO 8601) or a duration before now, such as 30d', '7d')
    .option('--until <time>', 'end there (default: now)')
    .option('--json', 'one line of JSON an alert, and one with the figures')
    .addHelpText(
      'after',
      `
Nothing is saved. Beside a change of a rule it tells what the rule does as it stands.

Examples:
  nowcast backtest error_failure --since 30d
  nowcast backtest latency_p95 --set condition.factor=3 --set for_seconds=300
  nowcast backtest --rule '{"kind":"threshold","condition":{"metric":"p95_latency_ms","comparator":">","value":2000}}'`,
    )
    .action(run);
}

async function run(name: string | undefined, options: Options): Promise<void> {
  const nowMs = Date.now();
  const sinceMs = readTime('--since', options.since ?? '7d', nowMs);
  const untilMs = options.until === undefined ? nowMs : readTime('--until', options.until, nowMs);
  if (sinceMs >= untilMs) throw new StartupError('--since must be earlier than --until.', 2);
  const given = options.rule === undefined ? {} : await readRule(options.rule);
  if (name === undefined && options.rule === undefined)
    throw new StartupError('Name a rule of alert_rules, or give one with --rule.', 2);
  await withMigratedPool('backtest', async (pool) => {
    const asked = await withChanges(
      pool,
      { ...given, ...(name === undefined ? {} : { name }) },
      options.set ?? [],
    );
    const candidate = await candidateOf(pool, asked).catch((error: unknown) => {
      if (error instanceof InvalidRule) throw new StartupError(`${error.field}: ${error.message}`, 2);
      throw error;
    });
    const bar = await progressBar('Replaying', 'minutes');
    let started = false;
    const result = await backtest(pool, candidate, {
      sinceMs,
      untilMs,
      nowMs,
      onProgress(doneMs, totalMs) {
        if (!started) bar.start(Math.round(totalMs / 60_000), 0);
        started = true;
        bar.update(Math.round(doneMs / 60_000));
      },
    }).finally(() => bar.stop());
    if (options.json) printJson(result);
    else printWords(candidate.rule.name, result);
  });
}

function printJson({ alerts, ...figures }: Backtest): void {
  for (const alert of alerts) console.log(JSON.stringify(alert));
  console.log(JSON.stringify(figures));
}

function printWords(name: string, result: Backtest): void {
  const { count: alerts, per_week: perWeek, current, since, until, notes } = result;
  const instead = current === undefined ? '' : ` instead of ${current.count} (${current.per_week} a week)`;
  const length = formatDuration(Date.parse(until) - Date.parse(since));
  console.log(
    `${name}: ${count(alerts, 'alert')}${instead} in ${length}, ${perWeek} a week (${minute(since)} to ${minute(until)} UTC).`,
  );
  for (const alert of result.alerts.slice(0, maxAlertsPrinted)) console.log(line(alert));
  if (alerts > maxAlertsPrinted) console.log(`  and ${alerts - maxAlertsPrinted} more; --json lists them`);
  for (const note of notes) console.log(note);
}

function line(alert: BacktestedAlert): string {
  const lasted =
    alert.resolved_at === null
      ? 'still open'
      : `for ${formatDuration(Date.parse(alert.resolved_at) - Date.parse(alert.opened_at))}`;
  const late = formatDuration(alert.delay_seconds * 1000);
  return `  ${alert.opened_at.slice(0, 19).replace('T', ' ')}  ${alert.severity}, ${lasted}, ${late} after the first bad moment: ${alert.message}`;
}

const minute = (time: string) => time.slice(0, 16).replace('T', ' ');

/** @throws StartupError (wrong usage) */
function readTime(option: string, text: string, nowMs: number): number {
  if (/^\d+(\.\d+)?[smhd]$/.test(text)) return nowMs - parseDurationMs(option, text);
  const atMs = /^\d{4}-\d\d-\d\d/.test(text) ? Date.parse(text) : Number.NaN;
  if (!Number.isNaN(atMs)) return atMs;
  throw new StartupError(
    `${option} must be a time such as 2026-01-31T08:00Z or a duration such as 7d, got ${text}.`,
    2,
  );
}

/** @throws StartupError (wrong usage) */
async function readRule(text: string): Promise<Record<string, unknown>> {
  let json = text;
  if (!text.trimStart().startsWith('{')) {
    json = await readFile(text, 'utf8').catch((error: NodeJS.ErrnoException) => {
      throw new StartupError(`--rule ${text} cannot be read: ${error.code ?? error.message}.`, 2);
    });
  }
  try {
    const rule: unknown = JSON.parse(json);
    if (typeof rule === 'object' && rule !== null && !Array.isArray(rule))
      return rule as Record<string, unknown>;
  } catch (error) {
    throw new StartupError(`--rule is no JSON: ${(error as Error).message}.`, 2);
  }
  throw new StartupError('--rule must be a JSON object.', 2);
}

/**
 * `condition.factor=3` on top of the rule's own condition, given or stored.
 *
 * @throws StartupError (wrong usage)
 */
async function withChanges(
  pool: pg.Pool,
  rule: Record<string, unknown>,
  changes: readonly string[],
): Promise<Record<string, unknown>> {
  if (changes.length === 0) return rule;
  const { rows } = await pool.query<{ condition: Record<string, unknown> }>(
    'select condition from public.alert_rules where name = $1',
    [rule.name ?? ''],
  );
  const changed: Record<string, unknown> = { ...rule };
  const condition: Record<string, unknown> = {
    ...rows[0]?.condition,
    ...(rule.condition as object | undefined),
  };
  for (const change of changes) {
    const [, field, text] = /^([a-z0-9_.]+)=(.*)$/s.exec(change) ?? [];
    if (field === undefined || text === undefined)
      throw new StartupError(`--set is written as condition.factor=3, got ${change}.`, 2);
    const value = parsedValue(text);
    if (field.startsWith('condition.')) condition[field.slice('condition.'.length)] = value;
    else changed[field] = value;
  }
  return { ...changed, condition };
}

/** JSON where it is some, else the text itself: `critical` needs no quotes. */
function parsedValue(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}
