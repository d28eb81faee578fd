import type { Channel, ChannelKind } from './channel.ts';
import { discord } from './discord.ts';
import { email } from './email.ts';
import type { AddressGuard } from './http/addressGuard.ts';
import { pagerDuty, pagerDutyUrls } from './pagerduty.ts';
import { slackBot } from './slackBot.ts';
import { slackWebhook } from './slackWebhook.ts';
import { type ChannelSpec, fingerprintOf } from './spec.ts';
import { teams } from './teams.ts';
import { webhook } from './webhook.ts';

/** Services with one address for everybody; tests have their own. Not settable: whoever could change it would get the tokens. */
export interface ServiceUrls {
  readonly slack: string;
  readonly pagerduty: string | undefined;
}

export const realServices: ServiceUrls = { slack: 'https://slack.com/api', pagerduty: undefined };

type Send = Channel['send'];

interface Made {
  readonly send: Send;
  readonly edits: boolean;
  readonly gapMs: number;
}

/** Makes a channel of what somebody wrote down. */
export function makeChannel(spec: ChannelSpec, guard: AddressGuard, services: ServiceUrls): Channel {
  const { name, kind, source, minSeverity, matchers } = spec;
  return {
    name,
    kind,
    source,
    minSeverity,
    matchers,
    fingerprint: fingerprintOf(spec),
    ...makers[kind](spec, guard, services),
  };
}

const makers: Readonly<
  Record<ChannelKind, (spec: ChannelSpec, guard: AddressGuard, services: ServiceUrls) => Made>
> = {
  // One message a second a channel: https://docs.slack.dev/apis/web-api/rate-limits.
  slack: ({ fields: { url, token, channel } }, guard, { slack }) =>
    typeof token === 'string' && typeof channel === 'string'
      ? { send: slackBot({ apiUrl: slack, token, channel }, guard), edits: true, gapMs: 1_000 }
      : { send: slackWebhook(url as string, guard), edits: false, gapMs: 1_000 },
  webhook: ({ fields: { url, signing_secret: secret } }, guard) => ({
    send: webhook(url as string, secret as string | undefined, guard),
    edits: true,
    gapMs: 100,
  }),
  email: ({ source, fields: { url, to, from } }, guard) => ({
    send: email({
      url: url as string,
      to: [to ?? []].flat(),
      from: from as string,
      guard: source === 'table' ? guard : undefined,
    }),
    edits: false,
    gapMs: 1_000,
  }),
  pagerduty: ({ fields: { routing_key: routingKey, region } }, guard, { pagerduty }) => ({
    send: pagerDuty(
      { routingKey: routingKey as string, url: pagerduty ?? pagerDutyUrls[region === 'eu' ? 'eu' : 'us'] },
      guard,
    ),
    edits: true,
    gapMs: 500,
  }),
  // Five requests in two seconds a webhook.
  discord: ({ fields: { url } }, guard) => ({ send: discord(url as string, guard), edits: true, gapMs: 500 }),
  teams: ({ fields: { url } }, guard) => ({ send: teams(url as string, guard), edits: false, gapMs: 1_000 }),
};
