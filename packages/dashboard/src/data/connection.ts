/**
 * What the page may say about its connection. Pure: the sockets and timers that cause the events are in liveFeed.ts.
 *
 * Only `live` promises that what is shown is what the server has. In every other state `since` is the last moment
 * at which that was so.
 */

export type Phase =
  /** The page was just opened: nothing is shown yet. */
  | 'connecting'
  /** Subscribed; what was missed before is being loaded. */
  | 'catchingUp'
  | 'live'
  /** The machine slept or the tab was in the background: nobody knows yet whether the socket still carries. */
  | 'doubtful'
  /** The socket is gone; the next attempt is scheduled. */
  | 'reconnecting'
  /** The browser says that there is no network. */
  | 'offline'
  /** The server wants another key. */
  | 'denied';

export type ConnectionEvent =
  | 'subscribed'
  | 'caughtUp'
  | 'missed'
  | 'lost'
  | 'woke'
  | 'answered'
  | 'wentOffline'
  | 'wentOnline'
  | 'refused';

export interface Connection {
  readonly phase: Phase;
  /** Browser time of the last moment at which the page was current; undefined before the first. */
  readonly currentUntil: number | undefined;
  /** Whether it was live before. */
  readonly everLive: boolean;
  /** Until it is live for the first time, or fails: whatever is there was asked for a moment ago, so it is not old. */
  readonly opening: boolean;
}

/** Whether nothing reaches the page, as far as is known. */
export function isCutOff({ phase }: Connection): boolean {
  return phase === 'reconnecting' || phase === 'offline' || phase === 'denied';
}

export const initialConnection: Connection = {
  phase: 'connecting',
  currentUntil: undefined,
  everLive: false,
  opening: true,
};

const same = undefined;

/** undefined: the event changes nothing in this phase. The type refuses a missing case. */
const transitions: Record<Phase, Record<ConnectionEvent, Phase | undefined>> = {
  connecting: {
    subscribed: 'catchingUp',
    caughtUp: same,
    missed: same,
    lost: 'reconnecting',
    woke: same,
    answered: same,
    wentOffline: 'offline',
    wentOnline: same,
    refused: 'denied',
  },
  catchingUp: {
    subscribed: same,
    caughtUp: 'live',
    missed: same,
    lost: 'reconnecting',
    woke: same,
    answered: same,
    wentOffline: 'offline',
    wentOnline: same,
    refused: 'denied',
  },
  live: {
    // A channel that joins anew may have missed something, whatever the socket did.
    subscribed: 'catchingUp',
    caughtUp: same,
    missed: 'catchingUp',
    lost: 'reconnecting',
    woke: 'doubtful',
    answered: same,
    wentOffline: 'offline',
    wentOnline: same,
    refused: 'denied',
  },
  doubtful: {
    subscribed: 'catchingUp',
    caughtUp: same,
    missed: 'catchingUp',
    lost: 'reconnecting',
    woke: same,
    answered: 'catchingUp',
    wentOffline: 'offline',
    wentOnline: same,
    refused: 'denied',
  },
  reconnecting: {
    subscribed: 'catchingUp',
    caughtUp: same,
    missed: same,
    lost: same,
    woke: same,
    answered: same,
    wentOffline: 'offline',
    wentOnline: same,
    refused: 'denied',
  },
  offline: {
    subscribed: 'catchingUp',
    caughtUp: same,
    missed: same,
    lost: same,
    woke: same,
    answered: same,
    wentOffline: same,
    wentOnline: 'reconnecting',
    refused: 'denied',
  },
  // Only another key helps, and with it the feed starts anew.
  denied: {
    subscribed: same,
    caughtUp: same,
    missed: same,
    lost: same,
    woke: same,
    answered: same,
    wentOffline: same,
    wentOnline: same,
    refused: same,
  },
};

/** @param until browser time up to which the page was current if it is not any more: now, or when it fell asleep */
export function step(connection: Connection, event: ConnectionEvent, until: number): Connection {
  const phase = transitions[connection.phase][event];
  if (phase === undefined || phase === connection.phase) return connection;
  return {
    phase,
    currentUntil: connection.phase === 'live' ? until : connection.currentUntil,
    everLive: connection.everLive || phase === 'live',
    opening: connection.opening && phase === 'catchingUp',
  };
}
