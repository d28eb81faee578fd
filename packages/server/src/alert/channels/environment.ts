import type { Settings } from '../../settings.ts';
import { type ChannelSpec, channelSpec } from './spec.ts';

/** The channels that environment variables make; the simplest way to have one. */
export function environmentChannels(settings: Settings): ChannelSpec[] {
  const given: Record<string, unknown>[] = [];
  if (settings.slackToken !== undefined && settings.slackChannel !== undefined) {
    given.push({ name: 'slack', kind: 'slack', token: settings.slackToken, channel: settings.slackChannel });
  } else if (settings.slackWebhookUrl !== undefined) {
    given.push({ name: 'slack', kind: 'slack', url: settings.slackWebhookUrl });
  }
  if (settings.webhookUrl !== undefined) {
    given.push({
      kind: 'webhook',
      url: settings.webhookUrl,
      signing_secret: settings.webhookSecret,
    });
  }
  if (settings.smtpUrl !== undefined && settings.emailTo !== undefined) {
    const from = settings.emailFrom ?? settings.emailTo[0];
    given.push({ kind: 'email', url: settings.smtpUrl, to: settings.emailTo, from });
  }
  if (settings.pagerdutyKey !== undefined)
    given.push({ kind: 'pagerduty', routing_key: settings.pagerdutyKey });
  if (settings.discordWebhookUrl !== undefined)
    given.push({ kind: 'discord', url: settings.discordWebhookUrl });
  if (settings.teamsWebhookUrl !== undefined) given.push({ kind: 'teams', url: settings.teamsWebhookUrl });
  return given.map((channel) => channelSpec(channel, String(channel.kind), 'environment'));
}
