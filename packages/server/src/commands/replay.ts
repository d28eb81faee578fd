import type { Command } from 'commander';
import { readSettings } from '../settings.ts';
import { StartupError } from '../startupError.ts';
import { countRows, type FieldMap, parseFieldMap, readEvents } from './replay/rows.ts';
import { assertReachable, Sender } from './replay/sender.ts';

interface ReplayOptions {
  readonly map: string[];
  readonly set?: string[];
  readonly speed: string;
  readonly keepTimes?: boolean;
  readonly url?: string;
  readonly key?: string;
}

/** Arrivals are gathered this long before they are sent: short against a second, long against a request. */
const tickMs = 50;
const collect = (value: string, before: string[] = []) => [...before, value];

export function addReplayCommand(program: Command): void {
  program
    .command('replay <file>')
    .description('replay arrivals from a CSV file (.gz too) against a running Nowcast')
    .requiredOption('--map <field=column>', 'take an event field from a column; timestamp is needed', collect)
    .option('--set <field=value>', 'give every event this value', collect)
    .option('--speed <factor>', 'how much faster than the file', '1')
    .option('--keep-times', 'keep the times of the file and send as fast as possible: a backfill')
    .option('--url <url>', 'the Nowcast to send to (default: this machine, PORT)')
    .option('--key <key>', 'an ingest key (default: NOWCAST_INGEST_KEY)')
    .addHelpText(
      'after',
      `
Without inference_time_ms in the file or by --set, a latency is made up from the output tokens (200 ms + 20 ms a
token) and every event says so in its metadata.

Example:
  nowcast replay trace.csv --map timestamp=TIMESTAMP --map input_tokens=ContextTokens \\
    --map output_tokens=GeneratedTokens --set model_version=code --speed 60`,
    )
    .action(replay);
}

async function replay(file: string, options: ReplayOptions): Promise<void> {
  const settings = readSettings(process.env);
  const speed = Number(options.speed);
  if (!(speed > 0)) throw new StartupError(`--speed must be a number above 0, got ${options.speed}.`, 2);
  const map = parseFieldMap(options.map, options.set ?? []);
  const total = await countRows(file);
  const url = options.url ?? `http://127.0.0.1:${settings.port}`;
  await assertReachable(url);
  const sender = new Sender(url, options.key ?? settings.ingestKey);
  if (map.inventsLatency) console.error('The file has no latency: one is made up, and metadata says so.');
  const { SingleBar } = (await import('cli-progress')).default;
  const bar = new SingleBar({
    format:
      'Replaying {bar} {percentage}% | {value}/{total} events | {rejected} rejected | {eta_formatted} left',
    // Without a terminal a line now and then is progress enough.
    noTTYOutput: true,
    notTTYSchedule: 5_000,
  });
  bar.start(total, 0, { rejected: 0 });
  const progress = () => bar.update(sender.done, { rejected: sender.rejected });
  try {
    await (options.keepTimes
      ? backfill(file, map, sender, progress)
      : live(file, map, sender, speed, progress));
    await sender.drain();
  } finally {
    progress();
    bar.stop();
  }
  console.log(`${sender.accepted} events stored, ${sender.rejected} rejected.`);
  if (sender.firstRejection !== undefined) console.log(`First rejection: ${sender.firstRejection}`);
  if (sender.rejected > 0) process.exitCode = 1;
}

/** Sends each event when its time comes; the first one's time is now. */
async function live(
  file: string,
  map: FieldMap,
  sender: Sender,
  speed: number,
  progress: () => void,
): Promise<void> {
  const startedAt = Date.now();
  let firstAt: number | undefined;
  let tickEndsAt = startedAt;
  for await (const event of readEvents(file, map)) {
    const at = Date.parse(event.timestamp);
    firstAt ??= at;
    const dueAt = startedAt + (at - firstAt) / speed;
    while (dueAt > tickEndsAt) {
      await sender.flush();
      progress();
      tickEndsAt = Math.max(tickEndsAt + tickMs, Date.now());
      const restMs = Math.min(dueAt, tickEndsAt) - Date.now();
      if (restMs > 0) await new Promise((resolve) => setTimeout(resolve, restMs));
      if (Date.now() >= dueAt) break;
    }
    await sender.add({ ...event, timestamp: new Date(dueAt).toISOString() });
  }
}

async function backfill(file: string, map: FieldMap, sender: Sender, progress: () => void): Promise<void> {
  for await (const event of readEvents(file, map)) {
    await sender.add(event);
    progress();
  }
}
