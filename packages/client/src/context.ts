import type { EventContext } from './event.ts';

/** What Nowcast needs of Node's AsyncLocalStorage. */
export interface ContextStorage {
  getStore(): EventContext | undefined;
  run<Result>(store: EventContext, run: () => Result): Result;
}

/** A copy with what the context knows and the event does not say; their metadata become one. */
export function withContext<Event extends EventContext>(
  event: Event,
  context: EventContext | undefined,
  defaults: EventContext | undefined,
): Event {
  if (context === undefined && defaults === undefined) return { ...event };
  const whole: Event = { ...defaults, ...context, ...event };
  if (defaults?.metadata || context?.metadata) {
    whole.metadata = { ...defaults?.metadata, ...context?.metadata, ...event.metadata };
  }
  return whole;
}
