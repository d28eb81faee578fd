import { AsyncLocalStorage } from 'node:async_hooks';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import type { EventContext } from './event.ts';
import { exitHooks } from './exitHooks.ts';
import { nodeSend } from './nodeSend.ts';
import { Nowcast as Core, type NowcastOptions } from './nowcast.ts';

export type { EventContext, Feedback, InferenceEvent, Measurement, ObservedCall } from './event.ts';
export type { NowcastOptions } from './nowcast.ts';
export type { DropReason, Stats } from './tally.ts';

const compress = promisify<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>(gzip);

/** On Node: with contexts, a flush at the end of the process, and compression on a thread of its own. */
export class Nowcast extends Core {
  constructor(options: NowcastOptions) {
    super(options, {
      storage: new AsyncLocalStorage<EventContext>(),
      compress,
      send: nodeSend(),
      hooks: exitHooks(options.exitTimeoutMs),
    });
  }
}
