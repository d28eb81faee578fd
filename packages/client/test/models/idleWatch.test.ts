import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { IdleWatch } from '../../src/models/idleWatch.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

test('idle is what nobody reads, not what the model takes its time for', () => {
  const onIdle = vi.fn();
  const watch = new IdleWatch(1_000, onIdle);
  watch.start();
  vi.advanceTimersByTime(900);
  watch.reads();
  vi.advanceTimersByTime(60_000);
  watch.hasRead();
  vi.advanceTimersByTime(999);
  expect(onIdle).not.toHaveBeenCalled();
  vi.advanceTimersByTime(1_000);
  expect(onIdle).toHaveBeenCalledTimes(1);
});

test('nothing is watched once it is over', () => {
  const onIdle = vi.fn();
  const watch = new IdleWatch(1_000, onIdle);
  watch.start();
  watch.stop();
  watch.start();
  vi.advanceTimersByTime(60_000);
  expect(onIdle).not.toHaveBeenCalled();
  expect(vi.getTimerCount()).toBe(0);
});
