import type { AsyncLocalStorage } from 'node:async_hooks';
import type { EventContext } from './event.ts';
import { Nowcast as Core, type NowcastOptions, type Platform } from './nowcast.ts';

export type { EventContext, Feedback, InferenceEvent, Measurement, ObservedCall } from './event.ts';
export type { NowcastOptions } from './nowcast.ts';
export type { DropReason, Stats } from './tally.ts';

type Storage = typeof AsyncLocalStorage<EventContext>;

/** What edge runtimes have beyond the web's interfaces, where they have it. */
interface Edge {
  readonly AsyncLocalStorage?: Storage;
  readonly process?: { getBuiltinModule?(id: string): { readonly AsyncLocalStorage?: Storage } | undefined };
  readonly [requestContext]?: { get?(): { waitUntil?(delivery: Promise<unknown>): void } | undefined };
}

/** Where Vercel keeps the request that is being answered (https://github.com/vercel/vercel, package functions). */
const requestContext: unique symbol = Symbol.for('@vercel/request-context');

/**
 * On Cloudflare Workers and Vercel Edge: with contexts where AsyncLocalStorage is there (Cloudflare: the flag
 * `nodejs_compat`), and on Vercel without naming `waitUntil`.
 */
export class Nowcast extends Core {
  constructor(options: NowcastOptions) {
    super(options, edge(globalThis as unknown as Edge));
  }
}

function edge(global: Edge): Platform {
  const Storage =
    global.AsyncLocalStorage ?? global.process?.getBuiltinModule?.('node:async_hooks')?.AsyncLocalStorage;
  const isVercel = global[requestContext] !== undefined;
  return {
    ...(Storage === undefined ? {} : { storage: new Storage() }),
    ...(isVercel ? { waitUntil: (delivery) => global[requestContext]?.get?.()?.waitUntil?.(delivery) } : {}),
  };
}
