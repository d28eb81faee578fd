import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import type { RunSql } from './sql.ts';

const HISTORY_LINES = 500;

const TABLES = `
  select n.nspname as schema, c.relname as name,
    case c.relkind when 'v' then 'view' when 'm' then 'materialized view' else 'table' end as type
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
  where c.relkind in ('r', 'p', 'v', 'm') and not c.relispartition
    and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast')
  order by 1, 2`;

const HELP =
  'End a statement with ;   \\dt lists tables and views   \\q leaves   Ctrl-C drops the line or stops the query';

/** Reads statements from the terminal until `\q` or Ctrl-D. The history is kept beside the data. */
export async function runPrompt(
  run: RunSql,
  options: { dataDir: string; cancel(): Promise<void> },
): Promise<void> {
  const historyFile = path.join(options.dataDir, 'sql_history');
  const terminal = createInterface({
    input: process.stdin,
    output: process.stdout,
    historySize: HISTORY_LINES,
    removeHistoryDuplicates: true,
    history: existsSync(historyFile) ? readFileSync(historyFile, 'utf8').split('\n').filter(Boolean) : [],
  });
  terminal.on('history', (lines: string[]) => {
    if (!existsSync(options.dataDir)) return;
    writeFileSync(historyFile, lines.join('\n'), { mode: 0o600 });
    chmodSync(historyFile, 0o600);
  });

  let pending = '';
  let running = false;
  const ask = () => {
    terminal.setPrompt(pending === '' ? 'nowcast=> ' : 'nowcast-> ');
    terminal.prompt();
  };
  terminal.on('SIGINT', () => {
    if (running) {
      options.cancel().catch((error: Error) => console.error(error.message));
    } else {
      pending = '';
      console.log();
      ask();
    }
  });

  console.log(HELP);
  ask();
  for await (const line of terminal) {
    const command = pending === '' ? line.trim().replace(/;$/, '') : '';
    if (command === '\\q' || command === 'quit' || command === 'exit') break;
    if (command === '\\?' || command === 'help') {
      console.log(HELP);
    } else if (command.startsWith('\\')) {
      if (command === '\\dt') await run(TABLES);
      else console.log(`${command} is unknown. ${HELP}`);
    } else {
      const split = splitStatements(`${pending}${line}\n`);
      pending = split.rest.trim() === '' ? '' : split.rest;
      running = true;
      for (const statement of split.statements) await run(statement);
      running = false;
    }
    ask();
  }
  terminal.close();
}

/** What a semicolon does not end: quoted text and names, dollar quotes, comments. Unclosed ones run to the end. */
const OPAQUE =
  /[eE]'(?:[^'\\]|\\[\s\S]|'')*(?:'|$)|'(?:[^']|'')*(?:'|$)|"(?:[^"]|"")*(?:"|$)|(\$(?:[a-zA-Z_]\w*)?\$)[\s\S]*?(?:\1|$)|--[^\n]*|\/\*[\s\S]*?(?:\*\/|$)/y;

/** The complete statements in a text, and what follows the last semicolon. */
export function splitStatements(sql: string): { statements: string[]; rest: string } {
  const statements: string[] = [];
  let start = 0;
  let at = 0;
  while (at < sql.length) {
    OPAQUE.lastIndex = at;
    const opaque = OPAQUE.exec(sql);
    if (opaque) {
      at += opaque[0].length;
    } else {
      if (sql[at] === ';') {
        const statement = sql.slice(start, at + 1).trim();
        if (statement !== ';') statements.push(statement);
        start = at + 1;
      }
      at++;
    }
  }
  return { statements, rest: sql.slice(start) };
}
