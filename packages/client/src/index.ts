export type { EventContext, Feedback, InferenceEvent, Measurement, ObservedCall } from './event.ts';
export { Nowcast, type NowcastOptions } from './nowcast.ts';
export type { DropReason, Stats } from './tally.ts';
