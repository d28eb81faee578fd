import type { Message } from '../message/message.ts';
import { clip, utc } from '../message/words.ts';
import type { Attempt, Receipt } from './channel.ts';
import type { AddressGuard } from './http/addressGuard.ts';
import { assertTaken, request } from './http/request.ts';

export interface PagerDutyOptions {
  readonly routingKey: string;
  /** Where events go. */
  readonly url: string;
}

export const pagerDutyUrls = {
  us: 'https://events.pagerduty.com/v2/enqueue',
  eu: 'https://events.eu.pagerduty.com/v2/enqueue',
} as const;

/** Of a summary, in characters: https://developer.pagerduty.com/docs/events-api-v2-overview. */
const maxSummary = 1_024;

type Action = 'trigger' | 'acknowledge' | 'resolve';

/** PagerDuty's Events API v2. The conversation's key is the dedup_key, so an event sent twice changes nothing. */
export function pagerDuty({ routingKey, url }: PagerDutyOptions, guard: AddressGuard) {
  return async (message: Message, { signal }: Attempt): Promise<Receipt> => {
    for (const action of actionsOf(message)) {
      const answer = await request(
        url,
        {
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify(eventOf(message, action, routingKey)),
        },
        guard,
        signal,
      );
      assertTaken(answer);
    }
    return {};
  };
}

function actionsOf({ step, subject }: Message): readonly Action[] {
  if (step === 'resolved') return ['resolve'];
  if (step === 'late') return ['trigger', 'resolve'];
  // PagerDuty repeats by its own escalation policy, and somebody's acknowledgement there would be lost by a trigger.
  if (step === 'update' && subject?.acknowledged === true) return ['acknowledge'];
  // Nobody is to be called out of bed by a test: it closes itself.
  return step === 'once' ? ['trigger', 'resolve'] : ['trigger'];
}

function eventOf(message: Message, action: Action, routingKey: string): Record<string, unknown> {
  const { subject } = message;
  const named = { routing_key: routingKey, event_action: action, dedup_key: message.key };
  if (action !== 'trigger') return named;
  return {
    ...named,
    client: 'Nowcast',
    client_url: message.links[0]?.url,
    links: message.links.map(({ text, url }) => ({ href: url, text })),
    payload: {
      summary: clip(message.headline, maxSummary),
      source: subject?.models.join(', ') || 'nowcast',
      severity: message.tone === 'critical' ? 'critical' : message.tone === 'info' ? 'info' : 'warning',
      timestamp: message.since.toISOString(),
      ...(subject === null ? {} : { component: subject.models[0], class: subject.alerts[0]?.type }),
      custom_details: Object.fromEntries(
        [
          ['what', message.lead],
          ['cause', message.cause],
          ['do', message.advice],
          ['late', message.late],
          ['freshness', message.freshness],
          ['also', message.others.join('\n')],
          ['examples', message.examples.map(({ text }) => text).join('\n')],
          ...message.facts.map(({ label, value }) => [label, typeof value === 'string' ? value : utc(value)]),
          ...message.deployed.map(({ label, value }) => [
            label,
            typeof value === 'string' ? value : `first seen ${utc(value)}`,
          ]),
        ].filter(([, value]) => value !== ''),
      ),
    },
  };
}
