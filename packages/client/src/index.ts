export type { EventContext, Feedback, InferenceEvent, ObservedCall } from './event.ts';
export { Nowcast, type NowcastOptions } from './nowcast.ts';
export type { DropReason, Stats } from './tally.ts';
