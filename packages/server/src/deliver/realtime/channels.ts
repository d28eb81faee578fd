/** All channels of one socket: messages become events of their state machines, effects become frames and registrations. */
import type { Scope } from '../published.ts';
import type { Registration } from './audience.ts';
import { type ChannelEvent, type ChannelState, type Effect, IDLE, step } from './channel.ts';
import { channelName } from './encode.ts';
import type { JoinRequest, Prepared } from './join.ts';
import type { RealtimeLimits } from './limits.ts';
import type { Broadcast, Inbound, Outbound, Vsn } from './wire.ts';

export interface ChannelsHost {
  readonly vsn: Vsn;
  readonly limits: Pick<RealtimeLimits, 'maxChannelsPerSocket' | 'maxMessageBytes'>;
  /** The key of the socket's URL; a join may name another. */
  readonly key: string | undefined;
  scopeOf(key: string | undefined): Scope | undefined;
  prepareJoin(join: JoinRequest): Prepared;
  /** Ahead of queued data. */
  send(message: Outbound): void;
  register(channel: Registration): void;
  unregister(channel: Registration): void;
  broadcast(topic: string, broadcast: Broadcast, toSelf: boolean): void;
  /** The channel ended: what is queued for it must not reach a later one of the same name. */
  forget(topic: string): void;
}

export class Channels {
  readonly #host: ChannelsHost;
  readonly #channels = new Map<string, Channel>();

  constructor(host: ChannelsHost) {
    this.#host = host;
  }

  get count(): number {
    return this.#channels.size;
  }

  /** Every key that a right of this socket rests on. */
  keys(): readonly (string | undefined)[] {
    return [this.#host.key, ...[...this.#channels.values()].map((channel) => channel.key)];
  }

  receive(message: Inbound, bytes: number): void {
    const { topic, event, ref, joinRef } = message;
    if (topic === 'phoenix') {
      if (event === 'heartbeat') this.#reply({ topic, ref, joinRef: null, status: 'ok', response: {} });
      return;
    }
    const { maxMessageBytes } = this.#host.limits;
    if (message.broadcast === undefined && bytes > maxMessageBytes) {
      const reason = `MessageTooLarge: ${bytes} bytes, the limit is ${maxMessageBytes}`;
      this.#reply({ topic, ref, joinRef, status: 'error', response: { reason } });
      return;
    }
    if (event === 'phx_join') this.#join(message);
    else if (event === 'access_token') this.#token(message);
    else this.#advance(topic, channelEvent(message));
  }

  disconnect(): void {
    for (const topic of [...this.#channels.keys()]) this.#advance(topic, { type: 'disconnect' });
  }

  #join(message: Inbound): void {
    const { topic, ref, joinRef, payload } = message;
    // The first join of a fresh client carries no token: its rights are those of the URL's key.
    const key = accessToken(message) ?? this.#host.key;
    const outcome = this.#prepare(topic, payload, key);
    this.#advance(topic, { type: 'join', ref, joinRef, outcome }, { key, payload });
  }

  #token(message: Inbound): void {
    const { topic, ref, joinRef } = message;
    const channel = this.#channels.get(topic);
    const key = accessToken(message);
    if (channel === undefined || key === undefined || key === channel.key) {
      this.#advance(topic, { type: 'token', ref, joinRef, outcome: 'unchanged' });
      return;
    }
    const prepared = this.#prepare(topic, channel.payload, key);
    const outcome = 'refused' in prepared ? prepared : { replaced: prepared.accepted.subscription };
    this.#advance(topic, { type: 'token', ref, joinRef, outcome }, { key, payload: channel.payload });
  }

  #prepare(topic: string, payload: Inbound['payload'], key: string | undefined): Prepared {
    const scope = this.#host.scopeOf(key);
    if (scope === undefined) return { refused: 'Unauthorized: the access token is not a valid key' };
    const { maxChannelsPerSocket } = this.#host.limits;
    if (!this.#channels.has(topic) && this.#channels.size >= maxChannelsPerSocket) {
      return { refused: `ChannelRateLimitReached: Too many channels (at most ${maxChannelsPerSocket})` };
    }
    return this.#host.prepareJoin({ vsn: this.#host.vsn, scope, topic, payload });
  }

  /** @param grounds what a registration that this event leads to rests on */
  #advance(topic: string, event: ChannelEvent<Registration>, grounds?: Grounds): void {
    const before = this.#channels.get(topic);
    const { state, effects } = step(before?.state ?? IDLE, event);
    const ended = before !== undefined && (state.name === 'idle' || event.type === 'join');
    if (ended) this.#host.forget(topic);
    if (state.name === 'idle') {
      this.#channels.delete(topic);
    } else {
      const registers = effects.some((effect) => effect.type === 'register');
      const { key, payload } = (registers ? grounds : before)!;
      this.#channels.set(topic, { state, key, payload });
    }
    for (const effect of effects) this.#perform(topic, effect);
  }

  #perform(topic: string, effect: Effect<Registration>): void {
    switch (effect.type) {
      case 'register':
        this.#host.register(effect.subscription);
        break;
      case 'unregister':
        this.#host.unregister(effect.subscription);
        break;
      case 'reply':
        this.#reply({ topic, ...effect });
        break;
      case 'push': {
        const { joinRef, ref, event, payload } = effect;
        const named = event === 'system' ? { ...payload, channel: channelName(topic) } : payload;
        this.#host.send({ joinRef, ref, topic, event, payload: named });
        break;
      }
      case 'fanOut':
        this.#host.broadcast(topic, effect.broadcast, effect.toSelf);
    }
  }

  #reply(reply: Reply): void {
    const { topic, ref, joinRef, status, response } = reply;
    if (ref === null) return;
    this.#host.send({ topic, ref, joinRef, event: 'phx_reply', payload: { status, response } });
  }
}

interface Grounds {
  /** The key that the channel's rights come from. */
  readonly key: string | undefined;
  /** The join, to be compiled again when the key changes. */
  readonly payload: Inbound['payload'];
}

interface Channel extends Grounds {
  readonly state: ChannelState<Registration>;
}

interface Reply {
  readonly topic: string;
  readonly ref: string | null;
  readonly joinRef: string | null;
  readonly status: 'ok' | 'error';
  readonly response: object;
}

function channelEvent(message: Inbound): ChannelEvent<Registration> {
  const { ref, joinRef, event, broadcast } = message;
  if (event === 'phx_leave') return { type: 'leave', ref, joinRef };
  if (broadcast !== undefined) return { type: 'broadcast', ref, joinRef, broadcast };
  if (event === 'presence') {
    return { type: 'presence', ref, joinRef, action: String(message.payload.event) };
  }
  return { type: 'unknown', ref, joinRef, event };
}

function accessToken(message: Inbound): string | undefined {
  const token = message.payload.access_token;
  return typeof token === 'string' && token !== '' ? token : undefined;
}
