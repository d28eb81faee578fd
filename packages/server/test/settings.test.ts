import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { isLoopbackAddress, readSettings, settingsHelp, settingsTable } from '../src/settings.ts';
import { StartupError } from '../src/startupError.ts';

function refusal(env: Record<string, string>): string {
  try {
    readSettings(env);
  } catch (error) {
    expect(error).toBeInstanceOf(StartupError);
    expect((error as StartupError).exitCode).toBe(2);
    return (error as StartupError).message;
  }
  throw new Error(`accepted ${JSON.stringify(env)}`);
}

describe('settings', () => {
  test('have safe defaults', () => {
    expect(readSettings({ PATH: '/bin' })).toEqual({
      port: 4318,
      host: '127.0.0.1',
      databaseUrl: undefined,
      dataDir: path.resolve('.nowcast'),
      redisUrl: undefined,
      slackWebhookUrl: undefined,
      slackToken: undefined,
      slackChannel: undefined,
      webhookUrl: undefined,
      webhookSecret: undefined,
      smtpUrl: undefined,
      emailTo: undefined,
      emailFrom: undefined,
      pagerdutyKey: undefined,
      discordWebhookUrl: undefined,
      teamsWebhookUrl: undefined,
      publicUrl: undefined,
      digest: 'off',
      timezone: 'UTC',
      hotDays: 30,
      minuteDays: 90,
      coldUrl: undefined,
      coldDays: undefined,
      allowedOrigins: [],
      webhookAllow: [],
      maxBodyBytes: 16 * 2 ** 20,
      maxDecompressedBytes: 32 * 2 ** 20,
      maxBatchEvents: 10_000,
      maxMetadataBytes: 65_536,
      maxJsonDepth: 16,
      maxJsonKeys: 1_000,
      maxPendingBytes: 67_108_864,
      maxReceivingBytes: 67_108_864,
      sampleRate: 1,
      dbPoolMax: 10,
      ingestKey: undefined,
      anonKey: undefined,
      serviceKey: undefined,
      rateLimit: undefined,
      logLevel: 'info',
    });
  });

  test('that are empty count as not set', () => {
    expect(readSettings({ PORT: '', DATABASE_URL: ' ', NOWCAST_INGEST_KEY: '' })).toEqual(readSettings({}));
  });

  test('are read from the environment', () => {
    const settings = readSettings({
      PORT: '0',
      HOST: '::1',
      DATABASE_URL: 'postgres://u:p@db.example:6543/app?sslmode=verify-full',
      NOWCAST_DATA_DIR: '/srv/nowcast',
      NOWCAST_ALLOWED_ORIGINS: 'https://a.example, http://localhost:3000',
      NOWCAST_TIMEZONE: 'Asia/Kolkata',
      NOWCAST_SAMPLE_RATE: '0.25',
      NOWCAST_COLD_URL: 's3://bucket/prefix',
      NOWCAST_LOG_LEVEL: 'debug',
    });
    expect(settings).toMatchObject({
      port: 0,
      host: '::1',
      databaseUrl: 'postgres://u:p@db.example:6543/app?sslmode=verify-full',
      dataDir: '/srv/nowcast',
      allowedOrigins: ['https://a.example', 'http://localhost:3000'],
      timezone: 'Asia/Kolkata',
      sampleRate: 0.25,
      coldUrl: 's3://bucket/prefix',
      logLevel: 'debug',
    });
  });

  test.each([
    ['64MiB', 67_108_864],
    ['67108864', 67_108_864],
    ['1.5 GB', 1_500_000_000],
    ['128k', 128_000],
    ['1GiB', 1_073_741_824],
  ])('read %s as %i bytes', (text, bytes) => {
    expect(readSettings({ NOWCAST_MAX_PENDING_BYTES: text }).maxPendingBytes).toBe(bytes);
  });

  test.each([
    ['PORT', 'http', 'PORT must be a whole number from 0 to 65535, not the text "http".'],
    ['PORT', '65536', 'PORT must be a whole number from 0 to 65535, not the number "65536".'],
    ['PORT', '-1', 'PORT must be a whole number from 0 to 65535, not the number "-1".'],
    [
      'NOWCAST_HOT_DAYS',
      '1.5',
      'NOWCAST_HOT_DAYS must be a whole number from 1 to 3650, not the number "1.5".',
    ],
    [
      'NOWCAST_SAMPLE_RATE',
      '0',
      'NOWCAST_SAMPLE_RATE must be a number above 0 and up to 1, not the number "0".',
    ],
    ['NOWCAST_MAX_PENDING_BYTES', '12', 'at least 64KiB'],
    ['NOWCAST_MAX_PENDING_BYTES', 'much', 'such as 64MiB or 67108864'],
    ['NOWCAST_LOG_LEVEL', 'loud', 'one of trace, debug, info, warn, error, fatal, silent'],
    ['NOWCAST_TIMEZONE', 'Mars/Olympus', 'an IANA time zone'],
    ['NOWCAST_ALLOWED_ORIGINS', 'example.org', 'origins like https://example.org'],
    ['NOWCAST_COLD_URL', 'http://archive', 'begins with file:// or s3://, not the URL "http://archive"'],
  ])('refuse %s=%s by its rule', (name, value, message) => {
    expect(refusal({ [name]: value })).toContain(message);
  });

  test.each(['DATABASE_URL', 'REDIS_URL', 'SLACK_WEBHOOK_URL', 'NOWCAST_SERVICE_KEY'])(
    'never repeat the value of %s',
    (name) => {
      const message = refusal({ [name]: 'hunter2 hunter2' });
      expect(message).toContain(`${name} must be `);
      expect(message).not.toContain('hunter2');
    },
  );

  test.each([
    ['NOWCAST_DATADIR', 'NOWCAST_DATA_DIR'],
    ['NOWCAST_PORT', 'PORT'],
    ['NOWCAST_DATABASE_URL', 'DATABASE_URL'],
    ['NOWCAST_INGESTKEY', 'NOWCAST_INGEST_KEY'],
    ['NOWCAST_PROT', 'PORT'],
    ['NOWCAST_SLACK_WEBHOOK', 'SLACK_WEBHOOK_URL'],
  ])('answer the misspelt %s with %s', (name, suggestion) => {
    expect(refusal({ [name]: 'x' })).toBe(`${name} is not a setting: did you mean ${suggestion}?`);
  });

  test.each(['NOWCAST_COMPLETELY_UNHEARD_OF', 'NOWCAST_XYZZY'])(
    'do not guess where nothing is near %s',
    (name) => {
      expect(refusal({ [name]: 'x' })).toBe(`${name} is not a setting; see nowcast --help for the list.`);
    },
  );

  test.each([
    ['sslmode=require', 'sslmode=verify-full'],
    ['a=1&sslmode=prefer&b=2', 'a=1&sslmode=verify-full&b=2'],
    ['sslmode=disable', 'sslmode=disable'],
    ['sslmode=require&uselibpqcompat=true', 'sslmode=require&uselibpqcompat=true'],
  ])('read ?%s of DATABASE_URL as what it does', (given, read) => {
    const at = 'postgres://u:p@db.example/app?';
    expect(readSettings({ DATABASE_URL: at + given }).databaseUrl).toBe(at + read);
  });

  test('know the addresses that only this machine reaches', () => {
    for (const host of ['127.0.0.1', '127.1.2.3', 'localhost', '::1'])
      expect(isLoopbackAddress(host)).toBe(true);
    for (const host of ['0.0.0.0', '::', '10.0.0.1', '127.0.0.1.example', 'example.org'])
      expect(isLoopbackAddress(host)).toBe(false);
  });

  test('are all in the help with their default once they do something', () => {
    const help = settingsHelp();
    for (const { name, defaultText, listed } of Object.values(settingsTable)) {
      const line = help.split('\n').find((candidate) => candidate.trim().split(/\s+/)[0] === name);
      expect(line !== undefined, name).toBe(listed);
      if (listed) expect(line).toContain(`(default: ${defaultText})`);
    }
  });
});
