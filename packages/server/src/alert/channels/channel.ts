import type { Message } from '../message/message.ts';
import type { Severity } from '../outbox/plan.ts';

export const channelKinds = ['slack', 'webhook', 'email', 'pagerduty', 'discord', 'teams'] as const;
export type ChannelKind = (typeof channelKinds)[number];

/** A place where people are told. */
export interface Channel {
  readonly name: string;
  readonly kind: ChannelKind;
  readonly source: 'environment' | 'config' | 'table';
  readonly minSeverity: Severity;
  readonly matchers: Readonly<Record<string, string | readonly string[]>>;
  /** Of its whole configuration: what was refused under another one is tried again. */
  readonly fingerprint: string;
  /** Whether a message can be changed without a noise; otherwise each change is a message. */
  readonly edits: boolean;
  /** Between two messages, as the service asks for. */
  readonly gapMs: number;
  /**
   * Tells it.
   *
   * @throws DeliveryError
   */
  send(message: Message, attempt: Attempt): Promise<Receipt>;
}

export interface Attempt {
  /** The same for every attempt at this message, and for this one alone. */
  readonly idempotencyKey: string;
  /** What the last message of this conversation left behind. */
  readonly reference: Readonly<Record<string, unknown>> | null;
  /** An earlier attempt may have succeeded: channels that can look it up do. */
  readonly maybeDelivered: boolean;
  readonly signal: AbortSignal;
}

export interface Receipt {
  /** How the message is found again; nothing where the channel has no such thing. */
  readonly reference?: Readonly<Record<string, unknown>>;
}

/** A message did not arrive, or nobody knows. Its words are shown to people: no URL, no secret, nothing of an answer. */
export class DeliveryError extends Error {
  override readonly name = 'DeliveryError';
  /** Whether trying again can help. */
  readonly retry: boolean;
  readonly retryAfterMs: number | undefined;
  /** The channel may have taken it. */
  readonly maybeDelivered: boolean;

  constructor(
    message: string,
    {
      retry,
      retryAfterMs,
      maybeDelivered = false,
    }: { retry: boolean; retryAfterMs?: number; maybeDelivered?: boolean },
  ) {
    super(message);
    this.retry = retry;
    this.retryAfterMs = retryAfterMs;
    this.maybeDelivered = maybeDelivered;
  }
}
