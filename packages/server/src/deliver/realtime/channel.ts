/**
 * One channel of one socket as a pure state machine: what was received and what the catalog said of it
 * go in, what to send and whom to register come out. The table at the end names every state and event;
 * the compiler refuses a missing case.
 */
import type { Broadcast } from './wire.ts';

export function step<S>(state: ChannelState<S>, event: ChannelEvent<S>): Step<S> {
  if (isStale(state, event)) return staleStep(state, event);
  return transition(state, event);
}

interface ChannelSettings {
  readonly broadcastSelf: boolean;
  readonly broadcastAck: boolean;
  readonly presence: boolean;
}

/** `S` is whatever was compiled for the join (opaque here), `changes` the echo with ids for the reply. */
export interface Accepted<S> {
  readonly subscription: S;
  readonly settings: ChannelSettings;
  readonly changes: readonly Readonly<Record<string, unknown>>[];
}

export type ChannelState<S> =
  | { readonly name: 'idle' }
  | {
      readonly name: 'joined';
      readonly joinRef: string | null;
      readonly settings: ChannelSettings;
      readonly hasChanges: boolean;
      readonly subscription: S;
    };

interface FromClient {
  readonly ref: string | null;
  readonly joinRef: string | null;
}

export type ChannelEvent<S> =
  | (FromClient & {
      readonly type: 'join';
      readonly outcome: { readonly accepted: Accepted<S> } | { readonly refused: string };
    })
  | (FromClient & { readonly type: 'leave' })
  | (FromClient & {
      readonly type: 'token';
      /** A new key with other rights compiles the same join again; `unchanged` covers null and the same key. */
      readonly outcome: 'unchanged' | { readonly replaced: S } | { readonly refused: string };
    })
  | (FromClient & { readonly type: 'broadcast'; readonly broadcast: Broadcast })
  | (FromClient & { readonly type: 'presence'; readonly action: string })
  | (FromClient & { readonly type: 'unknown'; readonly event: string })
  | { readonly type: 'disconnect' };

export type Effect<S> =
  | { readonly type: 'register'; readonly subscription: S }
  | { readonly type: 'unregister'; readonly subscription: S }
  | {
      readonly type: 'reply';
      readonly joinRef: string | null;
      readonly ref: string;
      readonly status: 'ok' | 'error';
      readonly response: object;
    }
  | {
      readonly type: 'push';
      readonly joinRef: string | null;
      readonly ref: string | null;
      readonly event: 'phx_close' | 'system' | 'presence_state';
      readonly payload: object;
    }
  | { readonly type: 'fanOut'; readonly broadcast: Broadcast; readonly toSelf: boolean };

export interface Step<S> {
  readonly state: ChannelState<S>;
  readonly effects: readonly Effect<S>[];
}

export const IDLE: ChannelState<never> = { name: 'idle' };

type EventOf<S, T extends ChannelEvent<S>['type']> = Extract<ChannelEvent<S>, { type: T }>;
type Joined<S> = Extract<ChannelState<S>, { name: 'joined' }>;
/** Every state has an answer to every event. */
type Table<S> = {
  readonly [T in ChannelEvent<S>['type']]: {
    idle(event: EventOf<S, T>): Step<S>;
    joined(event: EventOf<S, T>, state: Joined<S>): Step<S>;
  };
};

function table<S>(): Table<S> {
  const idle = (...effects: readonly Effect<S>[]): Step<S> => ({ state: IDLE, effects });
  const stay = (state: ChannelState<S>, ...effects: readonly Effect<S>[]): Step<S> => ({ state, effects });
  const unmatched = (event: FromClient): Step<S> =>
    idle(...reply<S>(event, 'error', { reason: 'unmatched topic' }));

  return {
    join: {
      idle: join,
      // A second join of a topic replaces the first: the client has already forgotten the old instance.
      joined: (event, state) => {
        const next = join(event);
        return { state: next.state, effects: [unregister(state), close(state), ...next.effects] };
      },
    },
    leave: {
      // Phoenix answers ok here too: the client wants not to be a member, and it is not.
      idle: (event) => idle(...reply<S>(event, 'ok', {})),
      joined: (event, state) => idle(unregister(state), ...reply<S>(event, 'ok', {}), close(state)),
    },
    token: {
      idle: () => idle(),
      joined: (event, state) => {
        if (event.outcome === 'unchanged') return stay(state);
        if ('refused' in event.outcome) {
          const message = event.outcome.refused;
          return idle(unregister(state), system(state.joinRef, 'system', 'error', message), close(state));
        }
        const subscription = event.outcome.replaced;
        return stay({ ...state, subscription }, unregister(state), { type: 'register', subscription });
      },
    },
    broadcast: {
      idle: unmatched,
      joined: (event, state) =>
        stay(
          state,
          { type: 'fanOut', broadcast: event.broadcast, toSelf: state.settings.broadcastSelf },
          ...(state.settings.broadcastAck ? reply<S>(event, 'ok', {}) : []),
        ),
    },
    presence: {
      idle: unmatched,
      // Answered at once and truthfully: the client's track() resolves 'error' instead of waiting 10 s,
      // and is not told that others see it when they do not.
      joined: (event, state) =>
        stay(
          state,
          ...(event.action === 'untrack'
            ? reply<S>(event, 'ok', {})
            : reply<S>(event, 'error', { reason: 'PresenceUnsupported: this server tracks no presence' })),
        ),
    },
    unknown: {
      idle: unmatched,
      joined: (event, state) =>
        stay(
          state,
          ...reply<S>(event, 'error', {
            reason: `unknown event ${JSON.stringify(event.event.slice(0, 80))}`,
          }),
        ),
    },
    disconnect: {
      idle: () => idle(),
      joined: (_event, state) => idle(unregister(state)),
    },
  };

  function join(event: EventOf<S, 'join'>): Step<S> {
    if ('refused' in event.outcome)
      return idle(...reply<S>(event, 'error', { reason: event.outcome.refused }));
    const { subscription, settings, changes } = event.outcome.accepted;
    const state: ChannelState<S> = {
      name: 'joined',
      joinRef: event.joinRef,
      settings,
      hasChanges: changes.length > 0,
      subscription,
    };
    const effects: Effect<S>[] = [
      // Before the reply: whoever sees SUBSCRIBED misses no row committed after it.
      { type: 'register', subscription },
      ...reply<S>(event, 'ok', { postgres_changes: changes }),
    ];
    if (state.hasChanges)
      effects.push(system(event.joinRef, 'postgres_changes', 'ok', 'Subscribed to PostgreSQL'));
    // Clients with presence listeners wait for a first state.
    if (settings.presence) {
      effects.push({ type: 'push', joinRef: event.joinRef, ref: null, event: 'presence_state', payload: {} });
    }
    return { state, effects };
  }
}

const TABLE = table<unknown>();

function transition<S>(state: ChannelState<S>, event: ChannelEvent<S>): Step<S> {
  // One table serves every S: handlers only carry subscriptions through, they never look inside.
  const row = TABLE[event.type] as unknown as {
    idle(event: ChannelEvent<S>): Step<S>;
    joined(event: ChannelEvent<S>, state: Joined<S>): Step<S>;
  };
  return state.name === 'idle' ? row.idle(event) : row.joined(event, state);
}

/** A message of an earlier instance of the channel that was still on its way when the topic was joined again. */
function isStale<S>(state: ChannelState<S>, event: ChannelEvent<S>): boolean {
  return (
    state.name === 'joined' &&
    event.type !== 'join' &&
    event.type !== 'disconnect' &&
    event.joinRef !== null &&
    event.joinRef !== state.joinRef
  );
}

function staleStep<S>(state: ChannelState<S>, event: ChannelEvent<S>): Step<S> {
  if (event.type === 'disconnect' || event.type === 'token') return { state, effects: [] };
  const left = event.type === 'leave';
  return {
    state,
    effects: reply<S>(event, left ? 'ok' : 'error', left ? {} : { reason: 'unmatched topic' }),
  };
}

function reply<S>(event: FromClient, status: 'ok' | 'error', response: object): readonly Effect<S>[] {
  // A push without a ref asks for no answer.
  return event.ref === null
    ? []
    : [{ type: 'reply', joinRef: event.joinRef, ref: event.ref, status, response }];
}

function unregister<S>(state: Joined<S>): Effect<S> {
  return { type: 'unregister', subscription: state.subscription };
}

function close<S>(state: Joined<S>): Effect<S> {
  // The client takes a phx_close only when its ref is the join ref of the instance it closes.
  return { type: 'push', joinRef: state.joinRef, ref: state.joinRef, event: 'phx_close', payload: {} };
}

function system<S>(
  joinRef: string | null,
  extension: 'system' | 'postgres_changes',
  status: 'ok' | 'error',
  message: string,
): Effect<S> {
  return {
    type: 'push',
    joinRef,
    ref: null,
    event: 'system',
    payload: { extension, status, message },
  };
}
