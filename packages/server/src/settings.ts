import { isIP } from 'node:net';
import path from 'node:path';
import { closest, distance } from 'fastest-levenshtein';
import { StartupError } from './startupError.ts';

/** Everything that a person can set, read once at start. `undefined` means not set. */
export type Settings = {
  port: number;
  host: string;
  /** 0 is off; undefined is 4317 beside the port 4318, and off beside another. */
  otlpGrpcPort: number | undefined;
  /** A given PostgreSQL; without it the embedded one runs. */
  databaseUrl: string | undefined;
  /** Absolute path. */
  dataDir: string;
  /** Absolute path of the configuration file; undefined looks for nowcast.config.ts in the working directory. */
  configFile: string | undefined;
  redisUrl: string | undefined;
  slackWebhookUrl: string | undefined;
  slackToken: string | undefined;
  slackChannel: string | undefined;
  webhookUrl: string | undefined;
  webhookSecret: string | undefined;
  smtpUrl: string | undefined;
  emailTo: string[] | undefined;
  emailFrom: string | undefined;
  pagerdutyKey: string | undefined;
  discordWebhookUrl: string | undefined;
  teamsWebhookUrl: string | undefined;
  /** Where people open the page, without a slash at its end; the server's own address where it is not set. */
  publicUrl: string | undefined;
  digest: Digest;
  /** IANA name: where a day of the history begins. */
  timezone: string;
  hotDays: number;
  /** Days that summaries by the minute are kept. */
  minuteDays: number;
  coldUrl: string | undefined;
  coldDays: number | undefined;
  allowedOrigins: string[];
  webhookAllow: string[];
  maxPendingBytes: number;
  /** Of all bodies that are being received, decompressed or read. */
  maxReceivingBytes: number;
  /** Of a request as it is sent, compressed or not. */
  maxBodyBytes: number;
  maxDecompressedBytes: number;
  maxBatchEvents: number;
  maxMetadataBytes: number;
  /** Levels of objects and arrays in metadata. */
  maxJsonDepth: number;
  /** Keys of all objects in metadata together. */
  maxJsonKeys: number;
  /** Share of ordinary events kept as rows, above 0 to 1. */
  sampleRate: number;
  /** Rows a second beyond which that share falls. */
  sampleMaxRowsPerSecond: number | undefined;
  dbPoolMax: number;
  ingestKey: string | undefined;
  anonKey: string | undefined;
  serviceKey: string | undefined;
  /** Events a second that each key may send. */
  rateLimit: number | undefined;
  logLevel: LogLevel;
};

type Digest = (typeof DIGESTS)[number];
const DIGESTS = ['off', 'daily', 'weekly'] as const;

type LogLevel = (typeof LOG_LEVELS)[number];
const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;

type Setting<Value> = {
  /** The environment variable. */
  name: string;
  description: string;
  /** The default as --help shows it. */
  defaultText: string;
  /** What a value must be, completing "NAME must be ...". */
  rule: string;
  /** A secret's value is never repeated in a message. */
  secret: boolean;
  /** False for names that are reserved: accepted and checked, but nothing reads them yet. */
  listed: boolean;
  /** The value of a text that is not empty; undefined where it breaks the rule. */
  parse(text: string): Value | undefined;
  fallback: Value;
};

type SettingsTable = { [Key in keyof Settings]: Setting<Settings[Key]> };

/** Each setting with its default, its rule and its words; the order is that of --help. */
export const settingsTable: SettingsTable = {
  port: {
    ...listed('PORT', 'port of the API, the WebSocket and the page', '4318'),
    ...wholeNumber(0, 65_535),
    fallback: 4318,
  },
  host: {
    ...listed('HOST', 'address to listen on; others than loopback need keys', '127.0.0.1'),
    rule: 'a host name or an IP address',
    parse: (text) => (/^[\w.:%-]+$/.test(text) ? text : undefined),
    fallback: '127.0.0.1',
  },
  otlpGrpcPort: {
    ...listed(
      'NOWCAST_OTLP_GRPC_PORT',
      'port of OpenTelemetry by gRPC, 0 for none',
      '4317 beside PORT 4318, otherwise none',
    ),
    ...wholeNumber(0, 65_535),
    fallback: undefined,
  },
  databaseUrl: {
    ...listed(
      'DATABASE_URL',
      'a PostgreSQL 15 or newer to use instead of the embedded one',
      'embedded PostgreSQL',
    ),
    ...url('postgres:', 'postgresql:'),
    rule: 'a URL like postgresql://user:password@host:5432/database (special characters in the password as %XX)',
    parse: (text) => {
      const given = url('postgres:', 'postgresql:').parse(text);
      return given === undefined ? undefined : withSaidTls(given);
    },
    secret: true,
  },
  dataDir: {
    ...listed('NOWCAST_DATA_DIR', 'where the embedded PostgreSQL keeps its data', '.nowcast'),
    rule: 'a path',
    parse: (text) => (text.includes('\0') ? undefined : path.resolve(text)),
    fallback: path.resolve('.nowcast'),
  },
  configFile: {
    ...listed(
      'NOWCAST_CONFIG',
      'the file with alert rules and channels',
      'nowcast.config.ts, if it is there',
    ),
    rule: 'a path',
    parse: (text) => (text.includes('\0') ? undefined : path.resolve(text)),
    fallback: undefined,
  },
  ingestKey: key('NOWCAST_INGEST_KEY', 'key that may write events and nothing else'),
  anonKey: key('NOWCAST_ANON_KEY', 'key that may read what is published: metrics, alerts'),
  serviceKey: key('NOWCAST_SERVICE_KEY', 'key that may do everything'),
  rateLimit: {
    ...listed('NOWCAST_RATE_LIMIT', 'events a second that each key may send', 'no limit'),
    ...wholeNumber(1, 10_000_000),
    fallback: undefined,
  },
  allowedOrigins: {
    ...listed(
      'NOWCAST_ALLOWED_ORIGINS',
      'web origins that may call the API, separated by commas; only with keys',
      'own and loopback',
    ),
    rule: 'origins like https://example.org, separated by commas, or *',
    parse: (text) => {
      const origins = list(text);
      return origins.every((origin) => origin === '*' || isOrigin(origin)) ? origins : undefined;
    },
    fallback: [],
  },
  maxPendingBytes: {
    ...listed(
      'NOWCAST_MAX_PENDING_BYTES',
      'events waiting for PostgreSQL beyond which ingest answers 503',
      '64MiB',
    ),
    ...size(64 * 1024, '64MiB or 67108864'),
    fallback: 64 * 2 ** 20,
  },
  maxReceivingBytes: {
    ...listed(
      'NOWCAST_MAX_RECEIVING_BYTES',
      'bodies of requests under way, all together, beyond which the answer is 503',
      '64MiB',
    ),
    ...size(64 * 1024, '64MiB or 67108864'),
    fallback: 64 * 2 ** 20,
  },
  maxBodyBytes: {
    ...listed('NOWCAST_MAX_BODY_BYTES', 'largest request with events as sent, compressed or not', '16MiB'),
    ...size(1024, '16MiB or 16777216'),
    fallback: 16 * 2 ** 20,
  },
  maxDecompressedBytes: {
    ...listed('NOWCAST_MAX_DECOMPRESSED_BYTES', 'largest request with events once decompressed', '32MiB'),
    ...size(1024, '32MiB or 33554432'),
    // Ten thousand events of the article's kind have 3 MB.
    fallback: 32 * 2 ** 20,
  },
  maxBatchEvents: {
    ...listed('NOWCAST_MAX_BATCH_EVENTS', 'events that one request may hold', '10000'),
    ...wholeNumber(1, 1_000_000),
    fallback: 10_000,
  },
  maxMetadataBytes: {
    ...listed('NOWCAST_MAX_METADATA_BYTES', 'largest metadata of an event, as JSON', '64KiB'),
    ...size(2, '64KiB or 65536'),
    fallback: 64 * 1024,
  },
  maxJsonDepth: {
    ...listed('NOWCAST_MAX_JSON_DEPTH', 'levels to which metadata may nest', '16'),
    // PostgreSQL's own reader of JSON and our recursion end somewhere.
    ...wholeNumber(1, 500),
    fallback: 16,
  },
  maxJsonKeys: {
    ...listed('NOWCAST_MAX_JSON_KEYS', 'keys that the metadata of an event may hold, at all levels', '1000'),
    ...wholeNumber(1, 1_000_000),
    fallback: 1_000,
  },
  dbPoolMax: {
    ...listed('NOWCAST_DB_POOL_MAX', 'database connections beside the one that writes', '10'),
    ...wholeNumber(1, 1_000),
    fallback: 10,
  },
  hotDays: {
    ...listed('NOWCAST_HOT_DAYS', 'days of events in PostgreSQL; older ones are refused', '30'),
    ...wholeNumber(1, 3_650),
    fallback: 30,
  },
  minuteDays: {
    ...listed('NOWCAST_MINUTE_DAYS', 'days of summaries by the minute; hours and days stay', '90'),
    ...wholeNumber(2, 3_650),
    fallback: 90,
  },
  logLevel: {
    ...listed('NOWCAST_LOG_LEVEL', LOG_LEVELS.join(', '), 'info'),
    rule: `one of ${LOG_LEVELS.join(', ')}`,
    parse: (text) => LOG_LEVELS.find((level) => level === text),
    fallback: 'info',
  },
  redisUrl: {
    ...reserved('REDIS_URL', 'a Redis that buffers events before PostgreSQL'),
    ...url('redis:', 'rediss:'),
    secret: true,
  },
  publicUrl: {
    ...listed('NOWCAST_PUBLIC_URL', 'where people open the page: links in alerts go there', 'own address'),
    rule: 'a URL that begins with http:// or https://',
    parse: (text) => url('http:', 'https:').parse(text)?.replace(/\/+$/, ''),
    fallback: undefined,
  },
  slackWebhookUrl: secretUrl('SLACK_WEBHOOK_URL', 'Slack incoming webhook that alerts are posted to'),
  slackToken: key('NOWCAST_SLACK_TOKEN', 'Slack bot token (xoxb-…): alerts in threads, updated in place'),
  slackChannel: {
    ...listed('NOWCAST_SLACK_CHANNEL', 'id of the Slack channel that the bot writes to', 'not set'),
    rule: 'the id of a channel such as C0123456789',
    parse: (text) => (/^[\w#-]{2,80}$/.test(text) ? text : undefined),
    fallback: undefined,
  },
  webhookUrl: secretUrl('NOWCAST_WEBHOOK_URL', 'any URL that alerts are posted to as JSON'),
  webhookSecret: key('NOWCAST_WEBHOOK_SECRET', 'what those posts are signed with'),
  smtpUrl: {
    ...listed('NOWCAST_SMTP_URL', 'mail server for alerts, like smtp://user:password@host:587', 'not set'),
    ...url('smtp:', 'smtps:'),
    secret: true,
  },
  emailTo: {
    ...listed('NOWCAST_EMAIL_TO', 'who gets alerts by e-mail, separated by commas', 'not set'),
    rule: 'e-mail addresses, separated by commas',
    parse: (text) => (list(text).every(isEmailAddress) ? list(text) : undefined),
    fallback: undefined,
  },
  emailFrom: {
    ...listed('NOWCAST_EMAIL_FROM', 'sender of those e-mails', 'the first receiver'),
    rule: 'an e-mail address',
    parse: (text) => (isEmailAddress(text) ? text : undefined),
    fallback: undefined,
  },
  pagerdutyKey: key('NOWCAST_PAGERDUTY_KEY', 'integration key of a PagerDuty service (Events API v2)'),
  discordWebhookUrl: secretUrl('NOWCAST_DISCORD_WEBHOOK_URL', 'Discord webhook that alerts are posted to'),
  teamsWebhookUrl: secretUrl(
    'NOWCAST_TEAMS_WEBHOOK_URL',
    'Microsoft Teams workflow that alerts are posted to',
  ),
  digest: {
    ...listed(
      'NOWCAST_DIGEST',
      'how often the channels get a summary of what fired, and weekly of the week: off, daily, weekly',
      'off',
    ),
    rule: 'off, daily or weekly',
    parse: (text) => DIGESTS.find((digest) => digest === text),
    fallback: 'off',
  },
  timezone: {
    ...listed('NOWCAST_TIMEZONE', 'time zone in which a day of the history begins', 'UTC'),
    rule: 'an IANA time zone such as Europe/Berlin',
    parse: (text) => (isTimezone(text) ? text : undefined),
    fallback: 'UTC',
  },
  coldUrl: {
    ...listed(
      'NOWCAST_COLD_URL',
      'directory or S3 bucket where old days are archived before they leave PostgreSQL',
      'not set: dropped without archive',
    ),
    ...url('file:', 's3:'),
  },
  coldDays: {
    ...listed('NOWCAST_COLD_DAYS', 'days that the archive is kept', 'forever'),
    ...wholeNumber(1, 36_500),
    fallback: undefined,
  },
  webhookAllow: {
    ...listed(
      'NOWCAST_WEBHOOK_ALLOW',
      'hosts or CIDRs that alerts may be sent to although they are private or without TLS',
      'none',
    ),
    rule: 'hosts or CIDRs, separated by commas',
    parse: (text) => (list(text).every(isHostOrRange) ? list(text) : undefined),
    fallback: [],
  },
  sampleRate: {
    ...listed('NOWCAST_SAMPLE_RATE', 'share of ordinary events kept as rows; all are counted', '1'),
    rule: 'a number above 0 and up to 1',
    parse: (text) => {
      const rate = Number(text);
      return rate > 0 && rate <= 1 ? rate : undefined;
    },
    fallback: 1,
  },
  sampleMaxRowsPerSecond: {
    ...listed(
      'NOWCAST_SAMPLE_MAX_ROWS_PER_SECOND',
      'rows a second beyond which that share falls; what is unusual is kept all the same',
      'no limit',
    ),
    ...wholeNumber(1, 10_000_000),
    fallback: undefined,
  },
};

/**
 * Reads and checks every setting.
 *
 * @throws StartupError (exit code 2) naming the setting and its rule; a secret's value is not repeated
 */
export function readSettings(env: NodeJS.ProcessEnv): Settings {
  refuseUnknownNames(env);
  const properties = Object.keys(settingsTable) as (keyof Settings)[];
  return Object.fromEntries(
    properties.map((property) => [property, readOne<unknown>(env, settingsTable[property])]),
  ) as Settings;
}

/** Every setting that does something, with its default, as --help shows it. */
export function settingsHelp(): string {
  const shown = Object.values(settingsTable).filter((setting) => setting.listed);
  const width = Math.max(...shown.map(({ name }) => name.length));
  const lines = shown.map(
    ({ name, description, defaultText }) =>
      `  ${name.padEnd(width)}  ${description} (default: ${defaultText})`,
  );
  return ['Settings (environment variables):', ...lines].join('\n');
}

/** Whether nobody but this machine reaches a server that listens on this HOST. */
export function isLoopbackAddress(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host);
}

function readOne<Value>(env: NodeJS.ProcessEnv, setting: Setting<Value>): Value {
  const text = env[setting.name]?.trim();
  // An empty variable is how compose files and CI systems say "not set".
  if (text === undefined || text === '') return setting.fallback;
  const value = setting.parse(text);
  if (value !== undefined) return value;
  const given = setting.secret
    ? `the given ${kind(text)}, which is not shown here`
    : `the ${kind(text)} "${text}"`;
  throw new StartupError(`${setting.name} must be ${setting.rule}, not ${given}.`, 2);
}

function kind(text: string): string {
  if (Number.isFinite(Number(text))) return 'number';
  return URL.canParse(text) ? 'URL' : 'text';
}

function refuseUnknownNames(env: NodeJS.ProcessEnv): void {
  const known = Object.values(settingsTable).map(({ name }) => name);
  for (const name of Object.keys(env)) {
    if (!name.startsWith(PREFIX) || known.includes(name)) continue;
    const guess = nearest(name, known);
    throw new StartupError(
      `${name} is not a setting${guess === undefined ? '; see nowcast --help for the list.' : `: did you mean ${guess}?`}`,
      2,
    );
  }
}

const PREFIX = 'NOWCAST_';

/** The setting whose name is near, with or without the prefix: that is right in most misspelt names, and tells nothing. */
function nearest(name: string, known: string[]): string | undefined {
  const bare = (text: string) => text.replace(PREFIX, '');
  const guess = known[known.map(bare).indexOf(closest(bare(name), known.map(bare)))]!;
  return distance(bare(name), bare(guess)) <= Math.max(2, bare(name).length / 3) ? guess : undefined;
}

function listed(name: string, description: string, defaultText: string) {
  return { name, description, defaultText, listed: true, secret: false };
}

function reserved(name: string, description: string, defaultText = 'not set') {
  return { name, description, defaultText, listed: false, secret: false };
}

function key(name: string, description: string): Setting<string | undefined> {
  return {
    ...listed(name, description, 'not set'),
    secret: true,
    rule: 'text without spaces',
    parse: (text) => (/^[\x21-\x7e]+$/.test(text) ? text : undefined),
    fallback: undefined,
  };
}

function secretUrl(name: string, description: string): Setting<string | undefined> {
  return { ...listed(name, description, 'not set'), ...url('https:', 'http:'), secret: true };
}

function wholeNumber(low: number, high: number) {
  return {
    rule: `a whole number from ${low} to ${high}`,
    parse: (text: string): number | undefined => {
      const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
      return value >= low && value <= high ? value : undefined;
    },
  };
}

function url(...protocols: string[]) {
  return {
    rule: `a URL that begins with ${protocols.map((protocol) => `${protocol}//`).join(' or ')}`,
    parse: (text: string): string | undefined =>
      URL.canParse(text) && protocols.includes(new URL(text).protocol) ? text : undefined,
    fallback: undefined,
  };
}

/**
 * pg takes `sslmode=require` and its weaker kin for `verify-full`, and warns at length that a later version will not.
 * The word for what happens is quiet, and stays true then. `uselibpqcompat` asks for the weaker meaning.
 */
function withSaidTls(databaseUrl: string): string {
  if (/[?&]uselibpqcompat=true/.test(databaseUrl)) return databaseUrl;
  return databaseUrl.replace(/([?&]sslmode=)(?:prefer|require|verify-ca)(?=&|$)/, '$1verify-full');
}

function size(least: number, example: string) {
  const shown = least % 1024 === 0 ? `${least / 1024}KiB` : `${least} bytes`;
  return {
    rule: `a size of at least ${shown}, such as ${example}`,
    parse: (text: string): number | undefined => {
      const bytes = parseBytes(text);
      return bytes !== undefined && bytes >= least ? bytes : undefined;
    },
  };
}

/** `64MiB`, `1.5 GB`, `1048576`: the number of bytes; undefined where it is none. */
function parseBytes(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)\s*(?:([kmg])(i)?)?b?$/i.exec(text);
  if (!match) return undefined;
  const [, number, prefix, binary] = match;
  const power = prefix === undefined ? 0 : 'kmg'.indexOf(prefix.toLowerCase()) + 1;
  return Math.floor(Number(number) * (binary ? 1024 : 1000) ** power);
}

function list(text: string): string[] {
  return text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');
}

function isEmailAddress(text: string): boolean {
  return /^[^\s@]+@[^\s@]+$/.test(text);
}

function isHostOrRange(text: string): boolean {
  const [host = '', bits, ...more] = text.split('/');
  if (more.length > 0 || (bits !== undefined && !/^\d{1,3}$/.test(bits))) return false;
  const family = isIP(host.replace(/^\[(.*)\]$/, '$1'));
  if (bits !== undefined) return family !== 0 && Number(bits) <= (family === 4 ? 32 : 128);
  return family !== 0 || /^[\w.-]+$/.test(host);
}

function isOrigin(text: string): boolean {
  return URL.canParse(text) && new URL(text).origin === text;
}

function isTimezone(name: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: name });
    return true;
  } catch {
    return false;
  }
}
