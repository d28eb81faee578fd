/** The stages of the pipeline in their order; a run waits for one of them or has been through all. */
const stages = ['ingest', 'store', 'feed', 'realtime'] as const;
export type Stage = (typeof stages)[number];

/** What a run has been through: nothing yet, the door, its commit, the feed, the subscribed socket. */
export type Progress = 'sent' | 'taken' | 'stored' | 'followed' | 'received';

const brokenAt: Record<Exclude<Progress, 'received'>, Stage> = {
  sent: 'ingest',
  taken: 'store',
  stored: 'feed',
  followed: 'realtime',
};

const order: readonly Progress[] = ['sent', 'taken', 'stored', 'followed', 'received'];

/** A synthetic event on its way. Its stages may be heard of in any order: the socket may be quicker than the answer to COMMIT. */
export interface Run {
  readonly id: string;
  readonly startedAtMs: number;
  readonly progress: Progress;
}

/** The furthest that is known counts. */
export function advance(run: Run, reached: Progress): Run {
  return order.indexOf(reached) > order.indexOf(run.progress) ? { ...run, progress: reached } : run;
}

export interface Verdict {
  readonly status: 'starting' | 'ok' | 'failed';
  readonly brokenStage: Stage | null;
}

/** Judges a run that has arrived or whose time is up. */
export function judge({ progress }: Run): Verdict {
  return progress === 'received'
    ? { status: 'ok', brokenStage: null }
    : { status: 'failed', brokenStage: brokenAt[progress] };
}
