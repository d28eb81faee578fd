import type { SpooledBatches } from './spooledBatches.ts';
import type { Tally } from './tally.ts';

/** A place on disk as a client begins to use it. */
export type Spool = (tally: Tally, warn: (message: string) => void) => SpooledBatches;
