export type Severity = 'warning' | 'critical';

/**
 * What a channel can be told: `late` is the beginning and the end in one, `once` news that belong to no incident. An
 * `update` makes no noise where the channel can change its message.
 */
export type Step = 'firing' | 'escalated' | 'update' | 'repeat' | 'resolved' | 'late' | 'once';

/** What a channel was told of an incident. Times in milliseconds of the database's clock. */
export interface Told {
  readonly told: 'nothing' | 'firing' | 'resolved';
  readonly severity: Severity | null;
  readonly alerts: number;
  readonly hash: string | null;
  readonly toldAtMs: number | null;
  readonly notifiedAtMs: number | null;
}

/** How the incident stands. */
export interface Standing {
  readonly openedAtMs: number;
  readonly closedAtMs: number | null;
  readonly severity: Severity;
  readonly alerts: number;
  /** All its open alerts. */
  readonly acknowledged: boolean;
  /** All its open alerts; once it is over, all of them at their end. */
  readonly silenced: boolean;
  readonly explained: boolean;
  readonly repeatIntervalMs: number;
  /** Of what would be told now. */
  readonly hash: string;
}

export interface Pace {
  /** An explanation may take this long before the news goes without. */
  readonly explanationMs: number;
  /** Between two changes of a message. */
  readonly editMs: number;
  /** Between two messages, where each change is one. */
  readonly updateMs: number;
  /** News of an end older than this is of no use. */
  readonly lifetimeMs: number;
}

export const defaultPace: Pace = {
  explanationMs: 2_000,
  editMs: 10_000,
  updateMs: 300_000,
  lifetimeMs: 86_400_000,
};

export type Plan =
  | { readonly step: Step }
  /** Nothing to say before this time, unless something changes. */
  | { readonly waitUntilMs: number }
  /** Nothing to say unless something changes. */
  | 'rest'
  /** Nothing was said and nothing will be. */
  | 'over'
  | 'expired';

/** What a channel must be told next. Pure; asked again after everything that happens. */
export function plan(told: Told, standing: Standing, edits: boolean, pace: Pace, nowMs: number): Plan {
  if (told.told === 'resolved') return 'over';
  if (standing.closedAtMs !== null) {
    // Silenced to its end: not even its end is news. What was told has an end that is told, silenced or not.
    if (told.told === 'nothing' && standing.silenced) return 'over';
    if (nowMs - standing.closedAtMs > pace.lifetimeMs) return 'expired';
    return { step: told.told === 'nothing' ? 'late' : 'resolved' };
  }
  if (told.told === 'nothing') {
    if (standing.silenced) return 'rest';
    const explainedByMs = standing.openedAtMs + pace.explanationMs;
    return standing.explained || nowMs >= explainedByMs ? { step: 'firing' } : { waitUntilMs: explainedByMs };
  }
  const noisy = !standing.silenced && !standing.acknowledged;
  if (!standing.silenced && standing.severity === 'critical' && told.severity === 'warning')
    return { step: 'escalated' };
  const dues: { step: Step; atMs: number }[] = [];
  if (noisy && standing.severity === 'critical')
    dues.push({ step: 'repeat', atMs: (told.notifiedAtMs ?? 0) + standing.repeatIntervalMs });
  if (edits) {
    if (standing.hash !== told.hash) dues.push({ step: 'update', atMs: (told.toldAtMs ?? 0) + pace.editMs });
  } else if (noisy && standing.alerts > told.alerts) {
    dues.push({ step: 'update', atMs: (told.toldAtMs ?? 0) + pace.updateMs });
  }
  const due = dues.find(({ atMs }) => atMs <= nowMs);
  if (due !== undefined) return { step: due.step };
  return dues.length === 0 ? 'rest' : { waitUntilMs: Math.min(...dues.map(({ atMs }) => atMs)) };
}
