import { createHash } from 'node:crypto';
import type { Severity } from '../outbox/plan.ts';
import { type Channel, type ChannelKind, channelKinds } from './channel.ts';

/** A channel as somebody wrote it down, checked. */
export interface ChannelSpec {
  readonly name: string;
  readonly kind: ChannelKind;
  readonly source: Channel['source'];
  readonly enabled: boolean;
  readonly minSeverity: Severity;
  readonly matchers: Channel['matchers'];
  /** By the names of `channelFields`; secrets among them. */
  readonly fields: Readonly<Record<string, string | readonly string[]>>;
}

interface Field {
  readonly secret?: true;
  readonly rule: string;
  readonly accepts: (value: unknown) => boolean;
}

const text: Field = {
  rule: 'a text that is not empty',
  accepts: (value) => typeof value === 'string' && value.trim() !== '',
};
const webUrl: Field = {
  secret: true,
  rule: 'an http or https URL',
  accepts: (value) => isUrl(value, ['https:', 'http:']),
};
const addresses: Field = {
  rule: 'an e-mail address or a list of them',
  accepts: (value) =>
    (Array.isArray(value) ? value : [value]).every(
      (one) => typeof one === 'string' && /^[^\s@]+@[^\s@]+$/.test(one),
    ) && !(Array.isArray(value) && value.length === 0),
};

/** What each kind needs to know. */
const channelFields: Readonly<Record<ChannelKind, Readonly<Record<string, Field>>>> = {
  slack: { url: webUrl, token: { ...text, secret: true }, channel: text },
  webhook: { url: webUrl, signing_secret: { ...text, secret: true } },
  email: {
    url: {
      secret: true,
      rule: 'an smtp or smtps URL like smtp://user:password@host:587',
      accepts: (value) => isUrl(value, ['smtp:', 'smtps:']),
    },
    to: addresses,
    from: text,
  },
  pagerduty: {
    routing_key: { ...text, secret: true },
    region: { rule: 'us or eu', accepts: (value) => value === 'us' || value === 'eu' },
  },
  discord: { url: webUrl },
  teams: { url: webUrl },
};

/** One of these sets must be there. */
const needed: Readonly<Record<ChannelKind, readonly (readonly string[])[]>> = {
  slack: [['url'], ['token', 'channel']],
  webhook: [['url']],
  email: [['url', 'to', 'from']],
  pagerduty: [['routing_key']],
  discord: [['url']],
  teams: [['url']],
};

const common = ['name', 'kind', 'enabled', 'min_severity', 'matchers'];

/**
 * Checks a channel as the configuration file and the table hold it: the common fields and those of its kind side by side.
 * Values of secrets are never repeated.
 *
 * @param path of the channel, for the error: `channels[2]`
 * @throws Error naming the field, its kind of value and the rule
 */
export function channelSpec(given: unknown, path: string, source: Channel['source']): ChannelSpec {
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    throw new Error(`${path} must be an object, not ${kindOf(given)}`);
  }
  const channel = given as Record<string, unknown>;
  const wrong = (field: string, rule: string, value: unknown) =>
    new Error(`${path}.${field} must be ${rule}, not ${kindOf(value)}`);
  const kind = channelKinds.find((one) => one === channel.kind);
  if (kind === undefined) {
    throw new Error(
      `${path}.kind must be one of ${channelKinds.join(', ')}, not ${typeof channel.kind === 'string' ? `"${channel.kind}"` : kindOf(channel.kind)}`,
    );
  }
  const name = channel.name ?? kind;
  if (typeof name !== 'string' || !/^[a-z][a-z0-9_-]{0,62}$/.test(name)) {
    throw wrong('name', 'lower case letters, digits, _ and -, a letter first', name);
  }
  const fields = channelFields[kind];
  for (const key of Object.keys(channel)) {
    if (!common.includes(key) && !Object.hasOwn(fields, key)) {
      throw new Error(
        `${path} of kind ${kind} has no "${key}"; it may hold ${[...common, ...Object.keys(fields)].join(', ')}`,
      );
    }
  }
  const values: Record<string, string | readonly string[]> = {};
  for (const [field, { rule, accepts }] of Object.entries(fields)) {
    const value = channel[field];
    if (value === undefined || value === null) continue;
    if (!accepts(value)) throw wrong(field, rule, value);
    values[field] = value as string | readonly string[];
  }
  if (!needed[kind].some((set) => set.every((field) => values[field] !== undefined))) {
    throw new Error(
      `${path} of kind ${kind} needs ${needed[kind].map((set) => set.join(' and ')).join(', or ')}`,
    );
  }
  const { enabled = true, min_severity: minSeverity = 'warning', matchers = {} } = channel;
  if (typeof enabled !== 'boolean') throw wrong('enabled', 'true or false', enabled);
  if (minSeverity !== 'warning' && minSeverity !== 'critical') {
    throw wrong('min_severity', 'warning or critical', minSeverity);
  }
  if (!areMatchers(matchers)) {
    throw wrong('matchers', 'an object of label and value, or label and list of values', matchers);
  }
  return { name, kind, source, enabled, minSeverity, matchers, fields: values };
}

/** Tells one configuration from another without telling what it holds. */
export function fingerprintOf({ kind, fields }: ChannelSpec): string {
  return createHash('sha256')
    .update(JSON.stringify([kind, fields]))
    .digest('base64url')
    .slice(0, 16);
}

function areMatchers(value: unknown): value is Channel['matchers'] {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  return Object.values(value).every((one) =>
    (Array.isArray(one) ? one : [one]).every((text) => typeof text === 'string'),
  );
}

function isUrl(value: unknown, protocols: readonly string[]): boolean {
  return typeof value === 'string' && URL.canParse(value) && protocols.includes(new URL(value).protocol);
}

function kindOf(value: unknown): string {
  if (value === null || value === undefined) return 'nothing';
  return Array.isArray(value) ? 'a list' : `a ${typeof value}`;
}
