import { createHmac } from 'node:crypto';
import type { Message } from '../message/message.ts';
import type { Attempt, Receipt } from './channel.ts';
import type { AddressGuard } from './http/addressGuard.ts';
import { assertTaken, request } from './http/request.ts';

/**
 * JSON to any URL, signed as the Standard Webhooks specification 1.0 has it (https://www.standardwebhooks.com): the id is
 * the same for every attempt, so a receiver that remembers ids takes each message once.
 */
export function webhook(url: string, signingSecret: string | undefined, guard: AddressGuard) {
  return async (message: Message, { idempotencyKey, signal }: Attempt): Promise<Receipt> => {
    const body = JSON.stringify(webhookBody(message, idempotencyKey));
    const timestamp = Math.floor(Date.now() / 1000);
    const answer = await request(
      url,
      {
        headers: {
          'content-type': 'application/json',
          'webhook-id': idempotencyKey,
          'webhook-timestamp': String(timestamp),
          'idempotency-key': idempotencyKey,
          ...(signingSecret === undefined
            ? {}
            : { 'webhook-signature': signatureOf(signingSecret, idempotencyKey, timestamp, body) }),
        },
        body,
      },
      guard,
      signal,
    );
    assertTaken(answer);
    return {};
  };
}

/** @param secret `whsec_` and base64, or any text */
function signatureOf(secret: string, id: string, timestamp: number, body: string): string {
  const key = secret.startsWith('whsec_')
    ? Buffer.from(secret.slice(6), 'base64')
    : Buffer.from(secret, 'utf8');
  return `v1,${createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64')}`;
}

/** What a webhook's receiver gets; fields are added, never renamed. */
function webhookBody(message: Message, id: string): Record<string, unknown> {
  const { subject } = message;
  return {
    version: 1,
    id,
    conversation: message.key,
    type: message.step === 'once' ? 'news' : message.step,
    tone: message.tone,
    trouble: message.trouble,
    headline: message.headline,
    text: [message.late, message.lead, message.cause, message.advice].filter((text) => text !== '').join(' '),
    late: message.late !== '',
    since: message.since,
    until: message.until,
    links: message.links,
    ...(subject === null
      ? { lines: message.others }
      : {
          incident: {
            id: subject.incidentId,
            severity: subject.severity,
            title: subject.title,
            opened_at: subject.openedAt,
            closed_at: subject.closedAt,
            models: subject.models,
            rules: subject.rules,
            alert_count: subject.alertCount,
            acknowledged: subject.acknowledged,
            acknowledged_by: subject.acknowledgedBy,
          },
          alerts: subject.alerts,
          explanation: subject.explanation,
        }),
  };
}
