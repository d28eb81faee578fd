import { calm, type Outcome, type Rule, type Subject } from '../judge.ts';

/** Nowcast itself is what broke: no silence of the senders, no calm either. */
export function judgeMonitor(_rule: Rule, { around }: Subject, nowMs: number): Outcome {
  if (around.problems.length === 0) return calm;
  return {
    judgement: 'breach',
    alertType: 'monitor',
    message: `Nowcast itself has a problem: ${around.problems.join('; ')}.`,
    figures: { problems: around.problems.length },
    sinceMs: nowMs,
  };
}
