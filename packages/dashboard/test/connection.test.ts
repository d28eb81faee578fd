import fc from 'fast-check';
import { expect, test } from 'vitest';
import { reconnectAfterMs } from '../src/data/client.ts';
import {
  type Connection,
  type ConnectionEvent,
  initialConnection,
  isCutOff,
  step,
} from '../src/data/connection.ts';
import { panelState } from '../src/ui/panelState.ts';

const events: ConnectionEvent[] = [
  'subscribed',
  'caughtUp',
  'missed',
  'lost',
  'woke',
  'answered',
  'wentOffline',
  'wentOnline',
  'refused',
];

test('whatever happens, the page is live only after it caught up with everything that broke before', () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...events), { maxLength: 60 }), (story) => {
      let connection = initialConnection;
      // The model: nothing is owed, and a subscription stands.
      let subscribed = false;
      let owed = true;
      story.forEach((event, now) => {
        const denied = connection.phase === 'denied';
        const before = connection;
        connection = step(connection, event, now);
        if (event === 'lost' || event === 'wentOffline') [subscribed, owed] = [false, true];
        if (event === 'missed' || event === 'woke') owed = owed || before.phase === 'live';
        if (event === 'subscribed') [subscribed, owed] = [true, true];
        if (event === 'caughtUp' && subscribed && before.phase === 'catchingUp') owed = false;
        if (connection.phase === 'live') expect([subscribed, owed]).toEqual([true, false]);
        if (denied) expect(connection.phase).toBe('denied');
        if (before.phase === 'live' && connection.phase !== 'live') expect(connection.currentUntil).toBe(now);
        if (event === 'lost') expect(connection.phase === 'live').toBe(false);
        if (isCutOff(connection)) expect(connection.phase).not.toBe('live');
      });
    }),
    { numRuns: 500 },
  );
});

test('what loads while the page opens is never said to be old; after a break it is, until the gap is loaded', () => {
  const kinds = (...events: ConnectionEvent[]) => {
    const seen = [initialConnection];
    for (const event of events) seen.push(step(seen.at(-1)!, event, 0));
    const kindOf = (connection: Connection) =>
      panelState({ connection, loaded: true, failure: undefined, empty: false }).kind;
    return seen.map(kindOf);
  };
  expect(kinds('subscribed', 'caughtUp')).toEqual(['loading', 'live', 'live']);
  expect(kinds('lost', 'subscribed', 'caughtUp')).toEqual(['loading', 'disconnected', 'stale', 'live']);
  expect(kinds('subscribed', 'lost', 'subscribed').slice(1)).toEqual(['live', 'disconnected', 'stale']);
  expect(kinds('subscribed', 'caughtUp', 'missed', 'caughtUp').slice(2)).toEqual(['live', 'stale', 'live']);
});

test('pages that lost the server together come back apart', () => {
  for (let tries = 1; tries < 8; tries++) {
    const waits = Array.from({ length: 200 }, () => reconnectAfterMs(tries));
    expect(Math.max(...waits) - Math.min(...waits)).toBeGreaterThan(Math.max(...waits) / 3);
    expect(Math.min(...waits)).toBeGreaterThan(100);
    expect(Math.max(...waits)).toBeLessThan(8_000);
  }
});
