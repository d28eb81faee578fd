/**
 * Where one rule stands for one set of labels. Pure: time comes in as an argument, what is to be done comes out as an
 * effect, and the table names every event in every phase, so that the compiler refuses a forgotten one.
 */

/** `resolving` is still open: calm, but not for long enough. `resolved` remembers how often it came back. */
export type AlertPhase = 'inactive' | 'pending' | 'firing' | 'resolving' | 'resolved';

export type AlertEvent =
  | 'breach' // the condition holds
  | 'breachLasted' // and has held for long enough
  | 'calm'
  | 'calmLasted'
  | 'unknown' // too few events to judge
  | 'unknownLasted'
  | 'ruleGone' // deleted or switched off
  | 'closed' // by somebody, in the table of alerts
  | 'forget'; // resolved long ago

export type AlertEffect = 'open' | 'close';

interface Transition {
  readonly to: AlertPhase;
  readonly effect?: AlertEffect;
  /** Counts as coming back. */
  readonly flap?: true;
}

const to = (phase: AlertPhase): Transition => ({ to: phase });
const open: Transition = { to: 'firing', effect: 'open' };
const close: Transition = { to: 'resolved', effect: 'close' };
const closeForGood: Transition = { to: 'inactive', effect: 'close' };

export const transitions: Readonly<Record<AlertPhase, Readonly<Record<AlertEvent, Transition>>>> = {
  inactive: {
    breach: to('pending'),
    breachLasted: open,
    calm: to('inactive'),
    calmLasted: to('inactive'),
    unknown: to('inactive'),
    unknownLasted: to('inactive'),
    ruleGone: to('inactive'),
    closed: to('inactive'),
    forget: to('inactive'),
  },
  pending: {
    breach: to('pending'),
    breachLasted: open,
    calm: to('inactive'),
    calmLasted: to('inactive'),
    unknown: to('inactive'),
    unknownLasted: to('inactive'),
    ruleGone: to('inactive'),
    closed: to('pending'),
    forget: to('pending'),
  },
  firing: {
    breach: to('firing'),
    breachLasted: to('firing'),
    calm: to('resolving'),
    calmLasted: close,
    unknown: to('firing'),
    unknownLasted: close,
    ruleGone: closeForGood,
    closed: to('resolved'),
    forget: to('firing'),
  },
  resolving: {
    breach: { to: 'firing', flap: true },
    breachLasted: { to: 'firing', flap: true },
    calm: to('resolving'),
    calmLasted: close,
    unknown: to('resolving'),
    unknownLasted: close,
    ruleGone: closeForGood,
    closed: to('resolved'),
    forget: to('resolving'),
  },
  resolved: {
    // What comes back soon after its end is held open longer; a first breach still has to last.
    breach: to('resolved'),
    breachLasted: { to: 'firing', effect: 'open', flap: true },
    calm: to('resolved'),
    calmLasted: to('resolved'),
    unknown: to('resolved'),
    unknownLasted: to('resolved'),
    ruleGone: to('inactive'),
    closed: to('resolved'),
    forget: to('inactive'),
  },
};

export interface AlertState {
  readonly phase: AlertPhase;
  /** Since when it is in this phase. */
  readonly sinceMs: number;
  /** Since when the condition holds without a break; undefined while it does not. */
  readonly breachSinceMs?: number | undefined;
  /** When it was last judged at all. */
  readonly judgedAtMs: number;
  /** How often it came back since it was last inactive. */
  readonly flaps: number;
}

export interface AlertTiming {
  readonly forMs: number;
  readonly keepFiringMs: number;
}

export type Judgement = 'breach' | 'calm' | 'unknown';

/** A resolved alert is remembered so long: what comes back meanwhile flaps. */
export const flapMemoryMs = 3_600_000;
/** Without anything to judge by, an alert ends after this. */
export const maxUnknownMs = 3_600_000;
/** Each return doubles the calm that is asked for, up to this or the rule's own. */
const maxHoldMs = 3_600_000;

export function inactive(nowMs: number): AlertState {
  return { phase: 'inactive', sinceMs: nowMs, judgedAtMs: nowMs, flaps: 0 };
}

/** How long it must be calm before it ends. */
export function holdMs(timing: AlertTiming, flaps: number): number {
  const doubled = timing.keepFiringMs * 2 ** Math.min(flaps, 12);
  return Math.max(timing.keepFiringMs, Math.min(doubled, maxHoldMs));
}

/** One look at the condition. */
export function judge(
  state: AlertState,
  judgement: Judgement,
  nowMs: number,
  timing: AlertTiming,
): { state: AlertState; effect?: AlertEffect | undefined } {
  const breachSinceMs = judgement === 'breach' ? (state.breachSinceMs ?? nowMs) : undefined;
  const judgedAtMs = judgement === 'unknown' ? state.judgedAtMs : nowMs;
  const noted: AlertState = { ...state, breachSinceMs, judgedAtMs };
  return step(noted, eventOf(noted, judgement, nowMs, timing), nowMs);
}

/** What happens to a state by an event. */
export function step(
  state: AlertState,
  event: AlertEvent,
  nowMs: number,
): { state: AlertState; effect?: AlertEffect | undefined } {
  const { to: phase, effect, flap } = transitions[state.phase][event];
  const moved: AlertState = {
    ...state,
    phase,
    sinceMs: phase === state.phase ? state.sinceMs : nowMs,
    flaps: phase === 'inactive' ? 0 : state.flaps + (flap ? 1 : 0),
  };
  return { state: moved, effect };
}

function eventOf(state: AlertState, judgement: Judgement, nowMs: number, timing: AlertTiming): AlertEvent {
  const { phase, sinceMs } = state;
  if (judgement === 'breach') {
    return nowMs - (state.breachSinceMs ?? nowMs) >= timing.forMs ? 'breachLasted' : 'breach';
  }
  if (phase === 'resolved' && nowMs - sinceMs >= flapMemoryMs) return 'forget';
  if (judgement === 'unknown') return nowMs - state.judgedAtMs >= maxUnknownMs ? 'unknownLasted' : 'unknown';
  const neededMs = holdMs(timing, state.flaps);
  if (neededMs === 0) return 'calmLasted';
  return phase === 'resolving' && nowMs - sinceMs >= neededMs ? 'calmLasted' : 'calm';
}
