import type { Scope } from '../published.ts';
import { type Registration, registration } from './audience.ts';
import type { Accepted } from './channel.ts';
import { TOPIC_PREFIX } from './encode.ts';
import { type Access, compileSubscriptions, SubscribeError } from './subscription.ts';
import { isObject, type Vsn } from './wire.ts';

export interface JoinRequest {
  readonly vsn: Vsn;
  readonly scope: Scope;
  readonly topic: string;
  readonly payload: Readonly<Record<string, unknown>>;
}

export type Prepared = { readonly accepted: Accepted<Registration> } | { readonly refused: string };

/** What a phx_join asks for, checked: ready to register, or refused with a reason for its author. */
export function prepareJoin(join: JoinRequest, access: Omit<Access, 'scope'>, maxBindings: number): Prepared {
  const { vsn, scope, topic, payload } = join;
  if (!topic.startsWith(TOPIC_PREFIX) || topic.length === TOPIC_PREFIX.length) {
    return { refused: `InvalidTopic: a topic is "${TOPIC_PREFIX}" and a channel name` };
  }
  if (Buffer.byteLength(topic) > MAX_TOPIC_BYTES) {
    return { refused: `InvalidTopic: a topic has at most ${MAX_TOPIC_BYTES} bytes` };
  }
  const config = payload.config;
  if (config === undefined && OLD_STYLE_TOPIC.test(topic)) {
    return { refused: 'UnsupportedJoin: subscriptions named by the topic are gone; use supabase-js 2' };
  }
  const { broadcast, presence, private: isPrivate, postgres_changes } = isObject(config) ? config : {};
  if (isPrivate === true) {
    return { refused: 'PrivateChannelsUnsupported: every channel here is open to every key' };
  }
  try {
    const subscriptions = compileSubscriptions(postgres_changes, { ...access, scope }, maxBindings);
    return {
      accepted: {
        subscription: registration(vsn, topic, subscriptions),
        settings: {
          broadcastSelf: isObject(broadcast) && broadcast.self === true,
          broadcastAck: isObject(broadcast) && broadcast.ack === true,
          presence: isObject(presence) && presence.enabled === true,
        },
        changes: subscriptions.map(({ id, echo }) => ({ id, ...echo })),
      },
    };
  } catch (error) {
    if (!(error instanceof SubscribeError)) throw error;
    return { refused: error.message };
  }
}

/** The binary broadcast frame counts a topic's bytes in one byte. */
const MAX_TOPIC_BYTES = 255;
const OLD_STYLE_TOPIC = /^realtime:(public|\*)(:|$)/;
