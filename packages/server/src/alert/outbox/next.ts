import type { Channel } from '../channels/channel.ts';
import { composeIncident, contentHash } from '../message/compose.ts';
import type { IncidentNews } from '../message/incident.ts';
import type { Message } from '../message/message.ts';
import { composeSingle } from '../message/single.ts';
import type { Delivery, Outcome } from './deliveries.ts';
import { type Pace, plan, type Step } from './plan.ts';

/** What to do with a delivery now. */
export type Next =
  | {
      readonly do: 'send';
      readonly step: Step;
      readonly compose: () => Message;
      readonly outcome: Omit<Outcome, 'reference' | 'late'>;
    }
  | { readonly do: 'wait'; readonly untilMs: number | undefined }
  | { readonly do: 'give up'; readonly expired: boolean };

interface Circumstances {
  readonly incident: IncidentNews | undefined;
  readonly channel: Channel;
  readonly publicUrl: string;
  readonly pace: Pace;
  readonly nowMs: number;
}

/** Decides on one delivery. Pure. */
export function next(delivery: Delivery, circumstances: Circumstances): Next {
  const { channel, nowMs } = circumstances;
  const decided =
    delivery.single === null ? ofIncident(delivery, circumstances) : ofSingle(delivery, circumstances);
  if (decided.do !== 'send') return decided;
  if (delivery.claimedUntilMs !== null && delivery.claimedUntilMs > nowMs)
    return { do: 'wait', untilMs: delivery.claimedUntilMs };
  if (delivery.owes === decided.step) {
    // Refused for good under this configuration: only another one, or another message, is worth a try.
    if (delivery.refusedBy === channel.fingerprint) return { do: 'wait', untilMs: undefined };
    if (delivery.dueAtMs > nowMs && delivery.refusedBy === null)
      return { do: 'wait', untilMs: delivery.dueAtMs };
  }
  return decided;
}

function ofSingle({ single }: Delivery, { publicUrl, pace, nowMs }: Circumstances): Next {
  if (nowMs - single!.createdAt.getTime() > pace.lifetimeMs) return { do: 'give up', expired: true };
  return {
    do: 'send',
    step: 'once',
    compose: () => composeSingle(single!, publicUrl),
    outcome: { told: 'resolved', severity: null, alerts: 0, hash: null, done: true },
  };
}

function ofIncident(delivery: Delivery, { incident, channel, publicUrl, pace, nowMs }: Circumstances): Next {
  // Its alerts were deleted: there is nothing left to tell.
  if (incident === undefined) return { do: 'give up', expired: false };
  const compose = (step: Step) =>
    composeIncident(incident, {
      step,
      now: new Date(nowMs),
      publicUrl,
      ...(delivery.lastError === null ? {} : { delayedBy: `${channel.kind} ${delivery.lastError}` }),
    });
  const hash = contentHash(compose('update'));
  const standing = {
    openedAtMs: incident.openedAt.getTime(),
    closedAtMs: incident.closedAt?.getTime() ?? null,
    severity: incident.severity,
    alerts: incident.alertCount,
    acknowledged: incident.acknowledged,
    silenced: incident.silenced,
    explained: incident.alerts[0]?.explanation != null,
    repeatIntervalMs: incident.repeatIntervalMs,
    hash,
  };
  const told = {
    told: delivery.told,
    severity: delivery.toldSeverity,
    alerts: delivery.toldAlerts,
    hash: delivery.toldHash,
    toldAtMs: delivery.toldAtMs,
    notifiedAtMs: delivery.notifiedAtMs,
  };
  const planned = plan(told, standing, channel.edits, pace, nowMs);
  if (planned === 'rest') return { do: 'wait', untilMs: undefined };
  if (planned === 'over' || planned === 'expired') return { do: 'give up', expired: planned === 'expired' };
  if ('waitUntilMs' in planned) return { do: 'wait', untilMs: planned.waitUntilMs };
  // What may have arrived is finished first: telling something else now could tell it twice.
  const step = delivery.outcomeUnknown && delivery.owes !== null ? delivery.owes : planned.step;
  const ends = step === 'resolved' || step === 'late';
  return {
    do: 'send',
    step,
    compose: () => compose(step),
    outcome: {
      told: ends ? 'resolved' : 'firing',
      severity: incident.severity,
      alerts: incident.alertCount,
      hash,
      done: ends,
    },
  };
}
