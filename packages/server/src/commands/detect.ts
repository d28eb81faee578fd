import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Command } from 'commander';
import { parseBudget, SeriesDetector } from '../process/detect/index.ts';
import { StartupError } from '../startupError.ts';

export function addDetectCommand(program: Command): void {
  program
    .command('detect')
    .description(
      'judge a series from stdin: CSV with the header timestamp,value in, one line of JSON a row out',
    )
    .option('--budget <words>', 'false alarms to live with on clean data, such as "1 per week"', '1 per week')
    .addHelpText(
      'after',
      `
Each row is judged by the rows before it, and answered before the next is read. Times are ISO 8601, "YYYY-MM-DD
hh:mm:ss" (UTC) or Unix seconds or milliseconds. A row that cannot be read is answered too, with score 0 and the reason.

Example:
  nowcast detect --budget "2 per month" < latency.csv | grep '"anomaly":true'`,
    )
    .action(detect);
}

async function detect(options: { budget: string }): Promise<void> {
  const falseAlarmsPerWeek = parseBudget(options.budget);
  if (falseAlarmsPerWeek === undefined) {
    throw new StartupError(
      `--budget is "${options.budget}"; write it like "1 per week" or "twice a month".`,
      2,
    );
  }
  const detector = SeriesDetector.restore(undefined, { falseAlarmsPerWeek });
  // Whoever reads may have enough, as head does.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    process.exit(0);
  });
  let rowNumber = 0;
  for await (const line of createInterface({ input: process.stdin, crlfDelay: Number.POSITIVE_INFINITY })) {
    rowNumber++;
    if (rowNumber === 1) {
      assertHeader(line);
    } else if (line.trim() !== '') {
      const answer = `${JSON.stringify(judge(detector, line, rowNumber))}\n`;
      if (!process.stdout.write(answer)) await once(process.stdout, 'drain');
    }
  }
  if (rowNumber === 0) assertHeader('');
}

function judge(detector: SeriesDetector, line: string, rowNumber: number): Record<string, unknown> {
  const [timestamp = '', written = '', ...rest] = line.split(',').map(unquote);
  const timestampMs = parseTime(timestamp);
  const value = written === '' ? Number.NaN : Number(written);
  const problem = problemOf(timestampMs, value, rest.length);
  if (problem !== undefined) {
    console.error(`Row ${rowNumber}: ${problem} (${line.slice(0, 80)})`);
    return {
      timestamp,
      value: Number.isFinite(value) ? value : null,
      score: 0,
      anomaly: false,
      reason: problem,
    };
  }
  const { score, anomaly, reason } = detector.push(timestampMs, value);
  return { timestamp, value, score: Number(score.toFixed(6)), anomaly, reason };
}

function problemOf(timestampMs: number, value: number, surplus: number): string | undefined {
  if (surplus > 0) return 'More than two columns.';
  if (!Number.isFinite(timestampMs)) return 'The timestamp is not a time.';
  return Number.isFinite(value) ? undefined : 'The value is not a number.';
}

function assertHeader(line: string): void {
  const names = line
    .replace(/^\uFEFF/, '')
    .split(',')
    .map((name) => unquote(name).toLowerCase());
  if (names.length === 2 && names[0] === 'timestamp' && names[1] === 'value') return;
  throw new StartupError(`The first line must be timestamp,value; it is "${line.slice(0, 80)}".`, 2);
}

const unquote = (text: string) => text.trim().replace(/^"(.*)"$/, '$1');

/** Milliseconds; NaN when it is no time. A time without a zone is UTC, so that the answer is the same everywhere. */
function parseTime(text: string): number {
  if (/^\d+(\.\d+)?$/.test(text)) return Number(text) < 1e11 ? Number(text) * 1000 : Number(text);
  const local = /^\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?$/.test(text);
  return Date.parse(local ? `${text.replace(' ', 'T')}Z` : text);
}
