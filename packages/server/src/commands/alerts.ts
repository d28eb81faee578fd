import os from 'node:os';
import { type Command, InvalidArgumentError } from 'commander';
import pg from 'pg';
import { configuredChannels } from '../alert/channels/configured.ts';
import { environmentChannels } from '../alert/channels/environment.ts';
import { AlertDelivery } from '../alert/delivery.ts';
import { loadConfig } from '../config/config.ts';
import { makeLog } from '../log.ts';
import { readSettings } from '../settings.ts';
import { StartupError } from '../startupError.ts';
import { migrate } from '../store/migrate.ts';
import { withDatabase } from './database.ts';
import { formatJson, formatTable } from './sqlOutput.ts';

export function addAlertsCommand(program: Command): void {
  const alerts = program.command('alerts').description('see, acknowledge and silence alerts; test channels');
  alerts
    .command('list')
    .description('open incidents, or with --all the newest hundred')
    .option('--all', 'those that are over too')
    .option('--json', 'print NDJSON instead of a table')
    .action(async ({ all, json }: { all?: boolean; json?: boolean }) => {
      await print(
        json,
        `select id, severity, date_trunc('second', opened_at) as opened, date_trunc('second', closed_at) as closed,
           acknowledged_by, silenced, alert_count as alerts, title
         from public.incidents where $1 or closed_at is null order by id desc limit 100`,
        [all ?? false],
      );
    });
  alerts
    .command('ack')
    .description('take an incident in hand: it is not repeated any more')
    .argument('<incident>', 'its number, as nowcast alerts list shows it', wholeNumber)
    .option('--note <text>', 'what you are doing about it')
    .option('--by <name>', 'who you are', accountName())
    .action(async (incident: number, { note, by }: { note?: string; by: string }) => {
      const { rows } = await query<{ open: boolean; done: number }>(
        `select exists (select from public.incidents where id = $1 and closed_at is null) as open,
           public.acknowledge_incident($1, $2, $3) as done`,
        [incident, by, note ?? null],
      );
      if (!rows[0]!.open)
        throw new StartupError(`No incident ${incident} is open: nowcast alerts list shows them.`, 1);
      console.log(
        `Incident ${incident} is acknowledged by ${by} (${rows[0]!.done} ${rows[0]!.done === 1 ? 'alert' : 'alerts'}).`,
      );
    });
  alerts
    .command('silence')
    .description('tell nobody of what matches for a while; it is recorded all the same')
    .argument(
      '<matcher...>',
      'label=value, such as model_version=v2 or rule=error_failure; all for everything',
    )
    .requiredOption('--for <time>', 'how long, such as 2h or 30m')
    .option('--reason <text>', 'why')
    .option('--by <name>', 'who you are', accountName())
    .action(async (given: string[], options: { for: string; reason?: string; by: string }) => {
      const { rows } = await query<{ id: string; ends: string }>(
        `select made.id, to_char((now() + $2::interval) at time zone 'UTC', 'YYYY-MM-DD HH24:MI') as ends
         from public.silence_alerts($1, $2::interval, $3, $4) made (id)`,
        [JSON.stringify(matchersOf(given)), intervalOf(options.for), options.reason ?? '', options.by],
      );
      const [made] = rows;
      console.log(
        `Silence ${made!.id} holds until ${made!.ends} UTC; nowcast alerts unsilence ${made!.id} ends it.`,
      );
    });
  alerts
    .command('unsilence')
    .description('end a silence or a maintenance window')
    .argument('<silence>', 'its number', wholeNumber)
    .action(async (silence: number) => {
      const { rows } = await query<{ done: boolean }>('select public.end_silence($1) as done', [silence]);
      if (!rows[0]!.done) throw new StartupError(`No silence ${silence} holds.`, 1);
      console.log(`Silence ${silence} is over.`);
    });
  alerts
    .command('silences')
    .description('silences and maintenance windows that hold or will')
    .option('--json', 'print NDJSON instead of a table')
    .action(async ({ json }: { json?: boolean }) => {
      await print(
        json,
        `select id, kind, matchers, date_trunc('second', starts_at) as starts, date_trunc('second', ends_at) as ends,
           reason, created_by
         from public.alert_silences where ended_at is null and ends_at > now() order by id`,
      );
    });
  alerts
    .command('test')
    .description('send a test to a channel, or to every one')
    .argument('[channel]', 'its name')
    .action(async (name: string | undefined) => await testChannels(name));
}

async function testChannels(name: string | undefined): Promise<void> {
  const settings = readSettings(process.env);
  const config = await loadConfig(settings.configFile);
  const fixed = environmentChannels(settings);
  const failed = await withPool(async (pool) => {
    const delivery = new AlertDelivery({
      pool,
      log: makeLog('error'),
      channels: [...fixed, ...configuredChannels(config, fixed)],
      allow: settings.webhookAllow,
      publicUrl: () => settings.publicUrl ?? `http://${settings.host}:${settings.port}`,
    });
    const names = (await delivery.report()).map((channel) => channel.name);
    if (names.length === 0)
      throw new StartupError('There are no channels: docs/alerts.md says how to make one.', 1);
    if (name !== undefined && !names.includes(name))
      throw new StartupError(`No channel is named ${name}; there are ${names.join(', ')}.`, 1);
    let problems = 0;
    for (const one of name === undefined ? names : [name]) {
      const { delivered = false, error = '' } = (await delivery.test(one)) ?? {};
      if (!delivered) problems += 1;
      console.log(delivered ? `${one}: delivered` : `${one}: not delivered: ${error}`);
    }
    return problems;
  });
  if (failed > 0) throw new StartupError(`${failed} of the channels did not take the test.`, 1);
}

function matchersOf(given: readonly string[]): Record<string, string> {
  if (given.length === 1 && given[0] === 'all') return {};
  return Object.fromEntries(
    given.map((text) => {
      const at = text.indexOf('=');
      if (at < 1) throw new StartupError(`"${text}" is no matcher: write label=value, or all.`, 2);
      return [text.slice(0, at), text.slice(at + 1)];
    }),
  );
}

function intervalOf(text: string): string {
  const match = /^(\d+(?:\.\d+)?)\s*(s|m|h|d)$/.exec(text.trim());
  if (match === null) throw new StartupError(`--for must be a time such as 30m, 2h or 1d, not "${text}".`, 2);
  const words = { s: 'seconds', m: 'minutes', h: 'hours', d: 'days' } as const;
  return `${match[1]} ${words[match[2] as keyof typeof words]}`;
}

function wholeNumber(text: string): number {
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('It must be a whole number.');
}

async function print(json: boolean | undefined, text: string, values: unknown[] = []): Promise<void> {
  const { fields, rows } = await withPool((pool) =>
    pool.query<(string | null)[]>({
      text,
      values,
      rowMode: 'array',
      types: { getTypeParser: () => (value: string) => value },
    }),
  );
  process.stdout.write((json ? formatJson : formatTable)(fields, rows));
}

async function query<Row extends pg.QueryResultRow>(
  text: string,
  values: unknown[] = [],
): Promise<pg.QueryResult<Row>> {
  return await withPool((pool) => pool.query<Row>(text, values));
}

async function withPool<Result>(use: (pool: pg.Pool) => Promise<Result>): Promise<Result> {
  return await withDatabase(readSettings(process.env), 'alerts', async (url) => {
    await migrate(url);
    const pool = new pg.Pool({ connectionString: url, application_name: 'nowcast alerts', max: 1 });
    try {
      return await use(pool);
    } catch (error) {
      const { code, message } = error as { code?: string; message: string };
      // What the functions refuse, they refuse in a sentence.
      throw code === '22023' ? new StartupError(`${message}.`, 2) : error;
    } finally {
      await pool.end();
    }
  });
}

/** Of the account that runs this; containers often run under a uid that has no name. */
function accountName(): string {
  try {
    return os.userInfo().username;
  } catch {
    return process.env.USER ?? `uid ${process.getuid?.()}`;
  }
}
