/** The final table, as text for the terminal and as Markdown for a file. */
import { cpus, totalmem } from 'node:os';
import type { Bench } from './bench.ts';
import { describeCpu } from './profile/cpu.ts';
import { isMissing, meetsTarget, type Row, type Spread, type Target } from './row.ts';

const HEADINGS = ['what', 'Nowcast', 'against', 'its figure', 'ratio (lowest-highest)', 'target', ''];

/** Above this share of the machine for others, a run says so. */
const NOISY = 0.05;

export function textTable(rows: Row[]): string {
  const cells = [HEADINGS, ...rows.map(cellsOf)];
  const widths = HEADINGS.map((_, column) => Math.max(...cells.map((line) => line[column]!.length)));
  const lines = cells.map((line) =>
    line
      .map((cell, column) => cell.padEnd(widths[column]!))
      .join('  ')
      .trimEnd(),
  );
  lines.splice(1, 0, widths.map((width) => '-'.repeat(width)).join('  '));
  return `${lines.join('\n')}\n`;
}

export function markdownTable(rows: Row[]): string {
  const line = (cells: string[]) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return `${[line(HEADINGS), line(HEADINGS.map(() => '---')), ...rows.map((row) => line(cellsOf(row)))].join('\n')}\n`;
}

function cellsOf(row: Row): string[] {
  if (row.notMeasured !== null) {
    // The figure of the side that did run is still worth reading.
    const figure = row.theirs === null ? '' : figureOf(row.theirs, row.unit);
    const ours = row.ours === null ? '' : figureOf(row.ours, row.unit);
    return [
      row.what,
      ours,
      row.against ?? '',
      figure,
      `not measured: ${row.notMeasured}`,
      targetOf(row.target),
      '',
    ];
  }
  const met = meetsTarget(row);
  return [
    row.what,
    row.ours === null ? '' : figureOf(row.ours, row.unit),
    row.against ?? '',
    row.theirs === null ? '' : figureOf(row.theirs, row.unit),
    row.ratio === null ? '' : `${short(row.ratio.median)} (${short(row.ratio.low)}-${short(row.ratio.high)})`,
    targetOf(row.target),
    met === undefined ? '' : met ? 'met' : 'MISSED',
  ];
}

function figureOf(spread: Spread, unit: string): string {
  return `${short(spread.median)} ${unit}`;
}

function targetOf(target: Target | null): string {
  if (target?.atLeast !== undefined) return `>= ${short(target.atLeast)}`;
  return target?.atMost === undefined ? '' : `<= ${short(target.atMost)}`;
}

/** Three significant digits are all that a benchmark's spread leaves meaningful. */
function short(value: number): string {
  if (Number.isNaN(value)) return 'no';
  return value >= 1_000
    ? Math.round(Number(value.toPrecision(3))).toLocaleString('en')
    : String(Number(value.toPrecision(3)));
}

/** What the figures were measured on: without it a ratio cannot be judged. */
export async function machine(bench: Bench): Promise<string> {
  const article = await bench.startedArticle;
  return [
    `machine   ${cpus().length} cores (${cpus()[0]?.model.trim() ?? 'unknown'}), ${Math.round(totalmem() / 2 ** 30)} GB, node ${process.version}; load generator, server and PostgreSQL share it`,
    `database  ${bench.postgres.description}`,
    ...(article === null ? [] : [`article   ${isMissing(article) ? article.missing : article.description}`]),
    `method    ${bench.plan.rounds} rounds, sides alternating, ${bench.plan.warmUpMs / 1000} s warm-up and ${bench.plan.measureMs / 1000} s measured each, CHECKPOINT before each; ratio = median of the rounds' ratios`,
    `noise     ${noise(bench.strangerShare)}`,
  ].join('\n');
}

function noise(strangerShare: number): string {
  if (Number.isNaN(strangerShare)) return 'not measured: nothing of this ran in windows';
  const told = `other processes used ${Math.round(strangerShare * 100)} % of the machine while windows were open`;
  return strangerShare > NOISY ? `${told}: too much to trust the figures` : told;
}

export function profileReport(bench: Bench): string {
  const lines: string[] = [];
  for (const { what, cpu } of bench.profiles) lines.push(`${what}: ${describeCpu(cpu)}`);
  // The latest profile of each kind: the server is warm by then.
  for (const [what, v8] of new Map(
    bench.profiles.flatMap(({ what, v8 }) => (v8 ? [[what, v8] as const] : [])),
  )) {
    lines.push('', `${what}: self time of the server's main thread`);
    for (const list of [v8.files, v8.functions]) {
      lines.push(
        ...list.map(({ name, share }) => `  ${(share * 100).toFixed(1).padStart(5)} %  ${name}`),
        '',
      );
    }
  }
  return lines.join('\n');
}
