import { createHash } from 'node:crypto';
import type { Explanation } from '../explanation.ts';
import type { Step } from '../outbox/plan.ts';
import type { AlertNews, IncidentNews } from './incident.ts';
import type { ExampleLine, Fact, Message, Trouble } from './message.ts';
import { clip, duration, oneLine, quantity } from './words.ts';

const maxOthers = 5;
const maxExamples = 3;
/** Later than this a beginning is told as late: what takes longer is no ordinary delay. */
const lateAfterMs = 60_000;
/** Data older than this is worth a word. */
const staleSeconds = 60;

export interface Occasion {
  readonly step: Step;
  readonly now: Date;
  /** Where the page is, without a slash at its end. */
  readonly publicUrl: string;
  /** Why it was not told before, where the channel knows. */
  readonly delayedBy?: string | undefined;
}

/** Everything a person needs at three in the morning, from what is known of the incident. Pure. */
export function composeIncident(incident: IncidentNews, occasion: Occasion): Message {
  const lead = incident.alerts[0]!;
  const explanation = lead.explanation;
  const trouble = troubleOf(lead);
  const over = incident.closedAt !== null;
  const headline = over
    ? `Resolved after ${duration(incident.closedAt.getTime() - incident.openedAt.getTime())}: ${incident.title}`
    : `${stepWord[occasion.step] ?? ''}${troubleWord(trouble, incident)}: ${incident.title}`;
  return {
    key: keyOf(incident),
    step: occasion.step,
    tone: over ? 'resolved' : incident.severity,
    trouble,
    headline: oneLine(headline, 250),
    lead:
      explanation === null || explanation.sentence === lead.message ? '' : oneLine(explanation.sentence, 600),
    cause: oneLine(explanation?.cause_sentence ?? '', 400),
    facts: factsOf(incident, lead),
    others: othersOf(incident),
    examples: (explanation?.examples ?? []).slice(0, maxExamples).map(exampleLine),
    deployed: deployedOf(explanation),
    advice: over ? '' : adviceOf(trouble, lead, occasion.publicUrl),
    freshness: freshnessOf(explanation),
    late: lateOf(incident, occasion),
    since: sinceOf(lead),
    until: incident.closedAt,
    links: [
      { text: 'Open the incident', url: `${occasion.publicUrl}/alerts/${incident.id}` },
      ...(trouble === 'monitor' ? [{ text: 'Pipeline', url: `${occasion.publicUrl}/pipeline` }] : []),
    ],
    subject: {
      incidentId: incident.id,
      severity: incident.severity,
      title: incident.title,
      openedAt: incident.openedAt,
      closedAt: incident.closedAt,
      models: incident.models,
      rules: incident.rules,
      alertCount: incident.alertCount,
      acknowledged: incident.acknowledged,
      acknowledgedBy: incident.acknowledgedBy,
      alerts: incident.alerts.map((alert) => ({
        id: alert.id,
        rule: alert.rule,
        type: alert.alertType,
        severity: alert.severity,
        message: alert.message,
        labels: alert.labels,
        since: alert.timestamp,
        status: alert.status,
      })),
      explanation,
    },
  };
}

/** Of everything that does not change by itself: when it changes, there is something new to show. */
export function contentHash(message: Message): string {
  const { step: _step, late: _late, headline, ...content } = message;
  // The word before the headline is the step's.
  const stable = { ...content, title: message.subject?.title ?? headline };
  return createHash('sha256').update(JSON.stringify(stable)).digest('base64url').slice(0, 22);
}

/** The time makes it unique over installations that report to the same place. */
function keyOf({ id, openedAt }: IncidentNews): string {
  return `nowcast-incident-${id}-${openedAt.getTime()}`;
}

const noDataTypes = ['no_data', 'traffic_stopped', 'traffic_collapsed', 'client_silent'];

/** By the rule's kind where there is one, else by the alert's own word. */
function troubleOf({ alertType, ruleKind, rule }: AlertNews): Trouble {
  const words = [ruleKind, alertType, rule].filter((word) => word !== null);
  if (words.some((word) => /^(monitor|canary|self)(_|$)/.test(word))) return 'monitor';
  if (words.some((word) => noDataTypes.includes(word))) return 'no_data';
  if (words.some((word) => /^anomaly(_|$)/.test(word))) return 'anomaly';
  return 'threshold';
}

const stepWord: Partial<Record<Step, string>> = { escalated: 'Now worse. ', repeat: 'Still open. ' };

function troubleWord(trouble: Trouble, { severity }: IncidentNews): string {
  const grave = severity === 'critical' ? 'Critical' : 'Warning';
  if (trouble === 'monitor') return `${grave}, the monitor itself`;
  if (trouble === 'no_data') return `${grave}, no data`;
  return trouble === 'anomaly' ? `${grave}, unusual` : grave;
}

function factsOf(incident: IncidentNews, lead: AlertNews): Fact[] {
  const { explanation } = lead;
  const facts: Fact[] = [{ label: 'Since', value: sinceOf(lead) }];
  if (explanation !== null && explanation.value !== null)
    facts.push({
      label: incident.closedAt === null ? 'Now' : 'Then',
      value: quantity(explanation.value, explanation.unit),
    });
  if (explanation !== null && explanation.baseline !== null)
    facts.push({ label: 'Before', value: quantity(explanation.baseline, explanation.unit) });
  if (incident.models.length > 0)
    facts.push({
      label: incident.models.length === 1 ? 'Model' : 'Models',
      value: shortList(incident.models),
    });
  for (const name of ['feature', 'client'])
    if (lead.labels[name] !== undefined)
      facts.push({
        label: name === 'feature' ? 'Feature' : 'Client',
        value: oneLine(lead.labels[name], 100),
      });
  if (incident.rules.length > 0)
    facts.push({ label: incident.rules.length === 1 ? 'Rule' : 'Rules', value: shortList(incident.rules) });
  if (incident.acknowledged && incident.closedAt === null)
    facts.push({ label: 'Acknowledged by', value: incident.acknowledgedBy ?? 'somebody' });
  if (incident.silenced && incident.closedAt === null) facts.push({ label: 'Silenced', value: 'yes' });
  return facts;
}

/** The first bad moment where it is known; the alert began a little later. */
function sinceOf({ timestamp, explanation }: AlertNews): Date {
  const since = new Date(explanation?.since ?? Number.NaN);
  return Number.isNaN(since.getTime()) ? timestamp : since;
}

function othersOf({ alerts, alertCount }: IncidentNews): string[] {
  const shown = alerts.slice(1, 1 + maxOthers);
  const more = alertCount - 1 - shown.length;
  return [
    ...shown.map(
      ({ message, status }) => `${oneLine(message, 200)}${status === 'resolved' ? ' (over)' : ''}`,
    ),
    ...(more > 0 ? [`and ${new Intl.NumberFormat('en-US').format(more)} more`] : []),
  ];
}

function exampleLine(example: Explanation['examples'][number]): ExampleLine {
  const at = new Date(example.timestamp);
  const parts = [
    example.model_version,
    example.feature,
    typeof example.inference_time_ms === 'number' ? quantity(example.inference_time_ms, 'ms') : null,
    example.is_error ? (example.error_message ?? 'error') : null,
    example.user_id === null || example.user_id === undefined ? null : `user ${example.user_id}`,
    example.trace_id === null || example.trace_id === undefined ? null : `trace ${example.trace_id}`,
  ];
  return {
    at: Number.isNaN(at.getTime()) ? null : at,
    text: parts
      .filter((part): part is string => typeof part === 'string' && part !== '')
      .map((part) => oneLine(part, 160))
      .join(' · '),
  };
}

const whatWords: Record<string, string> = { model_version: 'Model', feature: 'Feature', variant: 'Variant' };

function deployedOf(explanation: Explanation | null): Fact[] {
  return (explanation?.deployed ?? []).slice(0, 3).map(({ what, value, first_seen_at }) => {
    const at = new Date(first_seen_at);
    return {
      label: `${whatWords[what] ?? what} ${oneLine(String(value), 100)}`,
      value: Number.isNaN(at.getTime()) ? 'first seen just before' : at,
    };
  });
}

/** A step that helps whoever knows nothing yet. */
function adviceOf(trouble: Trouble, { explanation }: AlertNews, publicUrl: string): string {
  if (trouble === 'monitor')
    return `While this lasts, other alerts may be missing. ${publicUrl}/health says what does not work.`;
  if (trouble === 'no_data')
    return `Nothing received is not the same as nothing wrong: see whether the application runs and reaches ${publicUrl}.`;
  const fresh = (explanation?.deployed ?? []).find(({ what, value }) =>
    explanation?.causes.some((cause) => cause.dimension === what && cause.value === value),
  );
  if (fresh !== undefined)
    return `${oneLine(String(fresh.value), 100)} is new and explains it: rolling it back is the first thing to consider.`;
  if (trouble === 'anomaly')
    return 'This is unusual for this series; no fixed limit was passed. Look at the examples before you act.';
  return '';
}

function freshnessOf(explanation: Explanation | null): string {
  const age = explanation?.data_age_seconds ?? null;
  if (age === null) return '';
  const text = `The newest data was ${duration(age * 1000)} old`;
  return age > staleSeconds ? `${text}: what is shown may be out of date.` : `${text}.`;
}

function lateOf(
  { openedAt, closedAt, alertCount }: IncidentNews,
  { step, now, delayedBy }: Occasion,
): string {
  const reason = delayedBy === undefined ? '' : ` (${clip(delayedBy, 200)})`;
  if (step === 'late')
    return `This message is late: ${alertCount > 1 ? 'all of it' : 'it'} began and ended before it could be told${reason}.`;
  const happenedAt = step === 'firing' ? openedAt : step === 'resolved' ? closedAt : null;
  if (happenedAt === null) return '';
  const lateMs = now.getTime() - happenedAt.getTime();
  if (lateMs < lateAfterMs) return '';
  return `This message is late: it ${step === 'firing' ? 'began' : 'ended'} ${duration(lateMs)} ago${reason}.`;
}

function shortList(names: readonly string[]): string {
  const shown = names.slice(0, 5).map((name) => oneLine(name, 60));
  return names.length > shown.length
    ? `${shown.join(', ')} and ${names.length - shown.length} more`
    : shown.join(', ');
}
