/**
 * The article's design, run by the stack it names: FastAPI on uvicorn with uvloop and httptools, asyncpg.
 * Where Python or a package is missing the side is missing: nothing stands in for it.
 */
import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Missing } from '../row.ts';
import { withClient } from './database.ts';
import { answers, freePort, startService } from './process-tree.ts';

/** Debian's own Python comes first: its packages are not in the one that a version manager puts before it. */
const PYTHONS = ['/usr/bin/python3', 'python3'];
const ARTICLE = fileURLToPath(new URL('../../article/', import.meta.url));
const START_LIMIT_MS = 15_000;
const VERSIONS = `
import importlib, json, sys
from importlib.metadata import version
names = ['fastapi', 'uvicorn', 'uvloop', 'httptools', 'asyncpg', 'pydantic']
for name in names: importlib.import_module(name)
print(json.dumps({'python': sys.version.split()[0], **{name: version(name) for name in names}}))
`;

export interface ArticleSide {
  pid: number;
  port: number;
  databaseUrl: string;
  /** Command, versions and settings, for the report. */
  description: string;
  stop: () => Promise<void>;
}

export async function startArticle(databaseUrl: string): Promise<ArticleSide | Missing> {
  const python = await findPython();
  if ('missing' in python) return python;
  await withClient(databaseUrl, (client) => client.query(readFileSync(`${ARTICLE}schema.sql`, 'utf8')));
  const port = await freePort();
  const args = [
    ...['-m', 'uvicorn', 'app:app', '--host', '127.0.0.1', '--port', String(port), '--workers', '1'],
    ...['--loop', 'uvloop', '--http', 'httptools', '--no-access-log', '--log-level', 'warning'],
  ];
  const service = startService(python.command, args, {
    cwd: ARTICLE,
    env: { ...process.env, BENCH_ARTICLE_DATABASE_URL: databaseUrl, PYTHONDONTWRITEBYTECODE: '1' },
  });
  if (!(await answers(`http://127.0.0.1:${port}/openapi.json`, service, START_LIMIT_MS))) {
    await service.stop();
    throw new Error(`the article's service did not start:\n${service.output()}`);
  }
  const versions = Object.entries(python.versions).map(([name, version]) => `${name} ${version}`);
  const command = [python.command, ...args].join(' ').replace(String(port), 'PORT');
  return {
    pid: service.pid,
    port,
    databaseUrl,
    description: `${command}; ${versions.join(', ')}; asyncpg pool 5-20, no TimescaleDB, view not refreshed`,
    stop: service.stop,
  };
}

async function findPython(): Promise<{ command: string; versions: Record<string, string> } | Missing> {
  let reason = 'no python3 found';
  for (const command of PYTHONS) {
    if (command.startsWith('/') && !existsSync(command)) continue;
    try {
      const { stdout } = await promisify(execFile)(command, ['-c', VERSIONS], { timeout: START_LIMIT_MS });
      return { command, versions: JSON.parse(stdout) as Record<string, string> };
    } catch (error) {
      reason = lastLine(error instanceof Error ? error.message : String(error));
    }
  }
  return {
    missing:
      'needs python3 with fastapi, uvicorn, uvloop, httptools and asyncpg (Debian: apt-get install ' +
      `python3-fastapi uvicorn python3-uvloop python3-httptools python3-asyncpg); ${reason}`,
  };
}

function lastLine(text: string): string {
  return text.trim().split('\n').at(-1) ?? '';
}
