/** The channel's state machine and the queue of a slow client, walked by random histories against simple models. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type ChannelEvent,
  type ChannelState,
  type Effect,
  IDLE,
  step,
} from '../src/deliver/realtime/channel.ts';
import { Backlog, Outbox } from '../src/deliver/realtime/outbox.ts';
import { type Segment, SegmentBuilder } from '../src/deliver/realtime/segment.ts';

type Event = ChannelEvent<number>;

let nextSubscription = 0;
const joinRef = fc.constantFrom('1', '2', '3');
const fromClient = {
  ref: fc.option(fc.nat().map(String), { nil: null }),
  joinRef: fc.option(joinRef, { nil: null }),
};
const refused = fc.constant({ refused: 'InvalidTable: no' });
const event: fc.Arbitrary<Event> = fc.oneof(
  fc.record({
    type: fc.constant('join' as const),
    ref: fc.nat().map(String),
    joinRef,
    outcome: fc.oneof(
      refused,
      fc
        .record({
          broadcastSelf: fc.boolean(),
          broadcastAck: fc.boolean(),
          presence: fc.boolean(),
          hasChanges: fc.boolean(),
        })
        .map(({ hasChanges, ...settings }) => ({
          accepted: { subscription: ++nextSubscription, settings, changes: hasChanges ? [{ id: 1 }] : [] },
        })),
    ),
  }),
  fc.record({ type: fc.constant('leave' as const), ...fromClient }),
  fc.record({
    type: fc.constant('token' as const),
    ...fromClient,
    outcome: fc.oneof(
      fc.constant('unchanged' as const),
      refused,
      fc.nat().map(() => ({ replaced: ++nextSubscription })),
    ),
  }),
  fc.record({
    type: fc.constant('broadcast' as const),
    ...fromClient,
    broadcast: fc.constant({ event: 'e', encoding: 'json' as const, json: '{}' }),
  }),
  fc.record({
    type: fc.constant('presence' as const),
    ...fromClient,
    action: fc.constantFrom('track', 'untrack'),
  }),
  fc.record({ type: fc.constant('unknown' as const), ...fromClient, event: fc.string() }),
  fc.record({ type: fc.constant('disconnect' as const) }),
);

const kinds = (effects: readonly Effect<number>[]): string[] =>
  effects.map((effect) =>
    effect.type === 'push' ? effect.event : effect.type === 'reply' ? `reply ${effect.status}` : effect.type,
  );

describe('a channel, after any history of messages,', () => {
  /** Walks the history and hands each step to the check together with what is registered by the effects alone. */
  function walk(
    history: readonly Event[],
    check: (at: {
      before: ChannelState<number>;
      after: ChannelState<number>;
      event: Event;
      effects: readonly Effect<number>[];
      registered: ReadonlySet<number>;
    }) => void,
  ): void {
    let state: ChannelState<number> = IDLE;
    const registered = new Set<number>();
    for (const next of history) {
      const before = state;
      const { state: after, effects } = step(state, next);
      for (const effect of effects) {
        if (effect.type === 'register') registered.add(effect.subscription);
        if (effect.type === 'unregister') expect(registered.delete(effect.subscription)).toBe(true);
      }
      check({ before, after, event: next, effects, registered });
      state = after;
    }
  }

  function always(check: Parameters<typeof walk>[1]): void {
    fc.assert(
      fc.property(fc.array(event, { maxLength: 30 }), (history) => walk(history, check)),
      { numRuns: 500 },
    );
  }

  test('is registered exactly while it is joined, once, with its newest subscription', () => {
    always(({ after, registered }) => {
      expect([...registered]).toEqual(after.name === 'joined' ? [after.subscription] : []);
    });
  });

  test('is registered before the client hears that it joined, and says "subscribed" after', () => {
    always(({ event: { type }, effects }) => {
      if (type !== 'join') return;
      const order = kinds(effects);
      const joined = order.indexOf('reply ok');
      if (joined === -1) return expect(order).not.toContain('register');
      expect(order.indexOf('register')).toBeLessThan(joined);
      if (order.includes('system')) expect(order.indexOf('system')).toBeGreaterThan(joined);
    });
  });

  test('has answered every join and leave exactly once, with its own ref', () => {
    always(({ event: next, effects }) => {
      const replies = effects.filter((effect) => effect.type === 'reply');
      if (next.type === 'join' || next.type === 'leave')
        expect(replies).toHaveLength(next.ref === null ? 0 : 1);
      expect(replies.length).toBeLessThanOrEqual(1);
      for (const reply of replies) expect(reply).toMatchObject({ ref: (next as { ref: string }).ref });
    });
  });

  test('leaves no push that asks for an answer waiting, except an unacknowledged broadcast and a token', () => {
    always(({ before, event: next, effects }) => {
      if (next.type === 'disconnect' || next.type === 'token' || next.ref === null) return;
      const silent =
        next.type === 'broadcast' &&
        before.name === 'joined' &&
        !before.settings.broadcastAck &&
        (next.joinRef === null || next.joinRef === before.joinRef);
      expect(effects.some((effect) => effect.type === 'reply')).toBe(!silent);
    });
  });

  test('tells the client of the end of an instance with the ref by which the client knows it', () => {
    always(({ before, after, event: next, effects }) => {
      const closes = effects.filter((effect) => effect.type === 'push' && effect.event === 'phx_close');
      const ended =
        before.name === 'joined' &&
        (after.name === 'idle' || next.type === 'join') &&
        next.type !== 'disconnect';
      expect(closes).toEqual(
        ended ? [expect.objectContaining({ joinRef: before.joinRef, ref: before.joinRef })] : [],
      );
    });
  });

  test('is not touched by messages of an earlier instance', () => {
    always(({ before, after, event: next, effects }) => {
      if (before.name !== 'joined' || next.type === 'join' || next.type === 'disconnect') return;
      if (next.joinRef === null || next.joinRef === before.joinRef) return;
      expect(after).toBe(before);
      expect(kinds(effects).filter((kind) => !kind.startsWith('reply'))).toEqual([]);
    });
  });
});

describe('the queue of a slow client', () => {
  type Action = { push: readonly { topic: string; size: number }[] } | 'shift' | 'drop' | { forget: string };
  const topic = fc.constantFrom('a', 'b');
  const action: fc.Arbitrary<Action> = fc.oneof(
    fc.record({
      push: fc.array(fc.record({ topic, size: fc.integer({ min: 1, max: 40 }) }), {
        minLength: 1,
        maxLength: 4,
      }),
    }),
    fc.constant('shift' as const),
    fc.constant('drop' as const),
    fc.record({ forget: topic }),
  );

  function segmentOf(frames: readonly { topic: string; size: number }[]): Segment {
    const builder = new SegmentBuilder();
    for (const { topic: name, size } of frames) builder.add(name, Buffer.alloc(size, name));
    return builder.finish()[0]!;
  }

  test('accounts for every message: taken, missed, forgotten or still there, within its bound', () => {
    fc.assert(
      fc.property(fc.array(action, { maxLength: 60 }), (actions) => {
        const backlog = new Backlog();
        const outbox = new Outbox(100, backlog);
        // The model: what each topic was given less what it was told of must be what the queue still holds.
        const due: Record<string, number> = { a: 0, b: 0 };
        const settle = (): void => {
          for (const [name, missed] of outbox.takeMissed()) due[name]! -= missed;
        };
        const take = (segment: Segment | undefined): void => {
          for (const mark of segment?.marks ?? []) due[mark.topic]! -= mark.messages;
          expect(segment?.marks.at(-1)?.end ?? 0).toBe(segment?.bytes.length ?? 0);
        };
        for (const next of actions) {
          if (next === 'shift') take(outbox.shift());
          else if (next === 'drop') outbox.dropOldest();
          else if ('forget' in next) {
            settle();
            outbox.forget(next.forget);
            due[next.forget] = 0;
          } else {
            for (const frame of next.push) due[frame.topic]!++;
            outbox.push(segmentOf(next.push));
          }
          expect(outbox.bytes).toBeLessThanOrEqual(100);
          expect(backlog.bytes).toBe(outbox.bytes);
        }
        settle();
        while (outbox.oldest !== undefined) take(outbox.shift());
        expect(due).toEqual({ a: 0, b: 0 });
        expect([outbox.bytes, backlog.bytes, outbox.isEmpty]).toEqual([0, 0, true]);
      }),
      { numRuns: 500 },
    );
  });

  test('forgets a topic without touching the bytes of the others', () => {
    const outbox = new Outbox(1000, new Backlog());
    const shared = segmentOf([
      { topic: 'a', size: 3 },
      { topic: 'b', size: 2 },
      { topic: 'a', size: 1 },
      { topic: 'b', size: 4 },
    ]);
    outbox.push(shared);
    outbox.forget('a');
    expect(outbox.shift()?.bytes.toString()).toBe('bbbbbb');
    expect(shared.bytes.toString()).toBe('aaabbabbbb');
  });

  test('counts bytes that several clients wait for once', () => {
    const backlog = new Backlog();
    const [first, second] = [new Outbox(1000, backlog), new Outbox(1000, backlog)];
    const shared = segmentOf([{ topic: 'a', size: 100 }]);
    first.push(shared);
    second.push(shared);
    expect(backlog.bytes).toBe(100);
    first.clear();
    expect(backlog.bytes).toBe(100);
    second.dropOldest();
    expect(backlog.bytes).toBe(0);
    expect([...second.takeMissed()]).toEqual([['a', 1]]);
  });
});
