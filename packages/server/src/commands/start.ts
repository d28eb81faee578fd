import { createServer } from 'node:net';
import path from 'node:path';
import type { Command } from 'commander';
import type { RunningServer } from '../server.ts';
import { readSettings, type Settings, settingsHelp } from '../settings.ts';
import { StartupError } from '../startupError.ts';
import { meansDiskFull } from '../store/diskFull.ts';
import { fileSystemSentence } from '../store/embedded/cluster.ts';
import { announceUrl, findOwner, takenSentence } from '../store/embedded/owner.ts';
import { urlFilePath } from '../store/embedded/urlFile.ts';

/**
 * What we promise for a clean stop: `docker stop`, the least patient of those who stop programs, waits for ten seconds.
 * PostgreSQL is safe whenever it is cut short: its watchdog stops it.
 */
const STOP_WITHIN_MS = 9_500;

export function addStartCommand(program: Command): void {
  program
    .command('start')
    .description('start everything: ingest, PostgreSQL, metrics, alerts, the page')
    .addHelpText('after', () => `\n${settingsHelp()}`)
    .action(async () => {
      const settings = readSettings(process.env);
      // Heard from the first moment: making a cluster or migrating can take longer than a person's patience.
      const stopSignal = listenForSignals();
      await assertPortFree(settings);
      // Loaded here only: `nowcast sql` and `--help` answer in a third of the time without it.
      const { startServer } = await import('../server.ts');
      const started = startServer(settings).catch((error: unknown) => {
        throw meansDiskFull(error) ? diskFullError(settings, error) : error;
      });
      const server = await Promise.race([started, stopSignal]);
      if (server === STOP) process.exit(0);
      if (settings.databaseUrl === undefined) await announceUrl(settings.dataDir, server.url);
      console.log(readyLines(settings, server));
      await stopSignal;
      console.log('Stopping: what has been accepted is being written.');
      const late = setTimeout(() => {
        console.error('Nowcast did not stop in time and ends now; everything acknowledged is stored.');
        process.exit(1);
      }, STOP_WITHIN_MS);
      await server.close();
      clearTimeout(late);
      console.log('Stopped.');
      process.exit(0);
    });
}

const STOP = Symbol('a signal asked us to stop');

/** Resolves at the first SIGINT or SIGTERM; the second one ends the process at once. */
function listenForSignals(): Promise<typeof STOP> {
  return new Promise((resolve) => {
    let asked = false;
    const exitCodes = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 };
    for (const [signal, exitCode] of Object.entries(exitCodes)) {
      process.on(signal, () => {
        if (asked) process.exit(exitCode);
        asked = true;
        resolve(STOP);
      });
    }
  });
}

/** Looked at before PostgreSQL is started, so that a start which cannot succeed leaves nothing to undo. */
async function assertPortFree(settings: Settings): Promise<void> {
  const { host, port, dataDir } = settings;
  const owner = settings.databaseUrl === undefined ? findOwner(dataDir) : undefined;
  if (owner) throw new StartupError(takenSentence(dataDir, owner));
  await new Promise<void>((resolve, reject) => {
    const probe = createServer();
    probe.once('error', reject);
    probe.listen({ host, port, exclusive: true }, () => probe.close(() => resolve()));
  }).catch((error: NodeJS.ErrnoException) => {
    const reasons: Record<string, string> = {
      EADDRINUSE: `Port ${port} on ${host} is in use by another program: stop it, or set PORT to a free one.`,
      EACCES: `Port ${port} may not be opened by this user: set PORT to 1024 or higher.`,
      EADDRNOTAVAIL: `HOST ${host} is no address of this machine: set HOST to one that is, such as 127.0.0.1.`,
      ENOTFOUND: `HOST ${host} cannot be resolved: set HOST to an address of this machine, such as 127.0.0.1.`,
    };
    const sentence = reasons[error.code ?? ''];
    throw sentence === undefined ? error : new StartupError(sentence, 1, { cause: error });
  });
}

/** A disk that is full by the time the tables are made: later, the server waits for room instead. */
function diskFullError({ databaseUrl, dataDir }: Settings, cause: unknown): StartupError {
  const sentence =
    databaseUrl === undefined
      ? fileSystemSentence(dataDir, 'ENOSPC')!
      : 'The disk of the database that DATABASE_URL names is full: make room there.';
  return new StartupError(sentence, 1, { cause });
}

/** The article's own event, so that the first thing a newcomer pastes shows up on the page. */
const FIRST_EVENT = JSON.stringify({
  model_version: 'v1',
  inference_time_ms: 123.4,
  confidence_score: 0.97,
  input_size_bytes: 2048,
  prediction_class: 'invoice',
});

/** Never a key itself: what a start prints ends up in logs. */
const KEY_HEADER = "-H 'authorization: Bearer YOUR_INGEST_KEY' ";

function readyLines(settings: Settings, { url, needsKey }: Pick<RunningServer, 'url' | 'needsKey'>): string {
  const relative = path.relative('', urlFilePath(settings.dataDir));
  const urlFile = relative.startsWith('..') ? urlFilePath(settings.dataDir) : relative;
  const data =
    settings.databaseUrl === undefined
      ? [`  Data   ${settings.dataDir}`, `  SQL    npx nowcast sql, or psql "$(cat ${urlFile})"`]
      : ['  Data   the PostgreSQL that DATABASE_URL names'];
  return [
    '',
    `Nowcast is ready at ${url}`,
    ...data,
    '',
    needsKey ? 'Send the first event, with your ingest key:' : 'Send the first event:',
    `  curl -X POST ${url}/telemetry/inference -H 'content-type: application/json' ${needsKey ? KEY_HEADER : ''}-d '${FIRST_EVENT}'`,
    '',
  ].join('\n');
}
