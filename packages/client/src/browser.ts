import { Nowcast as Core, type NowcastOptions } from './nowcast.ts';
import { pageHooks } from './pageHooks.ts';

export type { EventContext, Feedback, InferenceEvent, Measurement, ObservedCall } from './event.ts';
export type { NowcastOptions } from './nowcast.ts';
export type { DropReason, Stats } from './tally.ts';

/** In a page: what waits is sent when the page is hidden or left. */
export class Nowcast extends Core {
  constructor(options: NowcastOptions) {
    super(options, { hooks: pageHooks() });
  }
}
