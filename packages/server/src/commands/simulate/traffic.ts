import type { TimedEvent } from '../replay/rows.ts';
import type { Random } from './random.ts';

export const incidentKinds = ['errors', 'latency', 'drop', 'new-version'] as const;
export type IncidentKind = (typeof incidentKinds)[number];

export interface TrafficOptions {
  readonly random: Random;
  /** Events a second, averaged over a week. */
  readonly ratePerSecond: number;
  readonly startMs: number;
  /** What goes wrong at a time. */
  readonly incidentsAt: (atMs: number) => readonly IncidentKind[];
}

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
/** Most traffic comes at 14:00 UTC, least at 2:00. */
const peakHour = 14;
const dailySwing = 0.6;
/** They average to 1 over a week. */
const weekdayFactor = 1.12;
const weekendFactor = 0.7;
const highestFactor = weekdayFactor * (1 + dailySwing);
const droppedShare = 0.05;
const users = 400;

interface Workload {
  readonly weight: number;
  readonly feature: string;
  readonly model: string;
  readonly provider: string;
  readonly medianMs: number;
  readonly sigma: number;
  readonly errorShare: number;
  readonly errors: readonly string[];
  /** Median tokens in and out, for language models. */
  readonly tokens?: readonly [number, number];
  readonly classes?: readonly { readonly weight: number; readonly name: string }[];
}

/** The first one is hit by incidents of errors and latency. */
const workloads: readonly Workload[] = [
  {
    weight: 40,
    feature: 'chat',
    model: 'gpt-4o-2024-08-06',
    provider: 'openai',
    medianMs: 1_400,
    sigma: 0.45,
    errorShare: 0.006,
    errors: ['429 rate limit reached', 'request timed out'],
    tokens: [900, 180],
  },
  {
    weight: 15,
    feature: 'summaries',
    model: 'claude-sonnet-4-20250514',
    provider: 'anthropic',
    medianMs: 2_300,
    sigma: 0.4,
    errorShare: 0.008,
    errors: ['529 overloaded', 'request timed out'],
    tokens: [4_000, 320],
  },
  {
    weight: 25,
    feature: 'search',
    model: 'gpt-4o-mini-2024-07-18',
    provider: 'openai',
    medianMs: 480,
    sigma: 0.35,
    errorShare: 0.004,
    errors: ['429 rate limit reached'],
    tokens: [350, 60],
  },
  {
    weight: 20,
    feature: 'receipts',
    model: 'ocr-v1.4',
    provider: 'in-house',
    medianMs: 95,
    sigma: 0.3,
    errorShare: 0.003,
    errors: ['the image cannot be read'],
    classes: [
      { weight: 70, name: 'receipt' },
      { weight: 20, name: 'invoice' },
      { weight: 10, name: 'other' },
    ],
  },
];
const newVersion = { replaces: 'ocr-v1.4', model: 'ocr-v1.5', share: 0.3 };

/** Events in the order of their times, without end; who takes them decides when. */
export function* traffic({
  random,
  ratePerSecond,
  startMs,
  incidentsAt,
}: TrafficOptions): Generator<TimedEvent, never> {
  const highestPerMs = (ratePerSecond / 1_000) * highestFactor;
  let atMs = startMs;
  for (;;) {
    // Thinning (Lewis and Shedler 1979): arrivals at the highest rate, of which the share due at that hour is kept.
    atMs += random.waitMs(highestPerMs);
    if (random.uniform() * highestFactor >= loadFactor(atMs)) continue;
    const incidents = incidentsAt(atMs);
    if (incidents.includes('drop') && random.uniform() >= droppedShare) continue;
    yield eventOf(random, atMs, incidents);
  }
}

/** Load at a time against its average over the week. */
export function loadFactor(atMs: number): number {
  const hour = (atMs % dayMs) / hourMs;
  const ofDay = 1 + dailySwing * Math.cos((2 * Math.PI * (hour - peakHour)) / 24);
  const weekday = new Date(atMs).getUTCDay();
  return ofDay * (weekday === 0 || weekday === 6 ? weekendFactor : weekdayFactor);
}

function eventOf(random: Random, atMs: number, incidents: readonly IncidentKind[]): TimedEvent {
  const workload = random.pick(workloads);
  const isFirst = workload === workloads[0];
  const isNew =
    incidents.includes('new-version') &&
    workload.model === newVersion.replaces &&
    random.uniform() < newVersion.share;
  const { tokens, classes } = workload;
  const slower = (isFirst && incidents.includes('latency') ? 5 : 1) * (isNew ? 1.4 : 1);
  const errorShare = isFirst && incidents.includes('errors') ? 0.3 : workload.errorShare + (isNew ? 0.04 : 0);
  const isError = random.uniform() < errorShare;
  const latencyMs = random.logNormal(workload.medianMs, workload.sigma) * slower;
  const user = zipf(random);
  const event: TimedEvent = {
    timestamp: new Date(atMs).toISOString(),
    model_version: isNew ? newVersion.model : workload.model,
    inference_time_ms: round(isError ? latencyMs * 0.4 : latencyMs),
    is_error: isError,
    feature: workload.feature,
    variant: user % 2 === 0 ? 'a' : 'b',
    user_id: `user-${user}`,
    trace_id: random.hex(32),
    provider: workload.provider,
    metadata: { source: 'nowcast simulate' },
  };
  if (isError) {
    event.error_message = workload.errors[Math.floor(random.uniform() * workload.errors.length)]!;
    return event;
  }
  if (tokens !== undefined) {
    event.input_tokens = Math.round(random.logNormal(tokens[0], 0.5));
    event.output_tokens = Math.round(random.logNormal(tokens[1], 0.5));
    event.cached_input_tokens = random.uniform() < 0.3 ? Math.floor(event.input_tokens * 0.6) : 0;
    event.ttft_ms = round(latencyMs * (0.15 + 0.1 * random.uniform()));
    if (random.uniform() < 0.1) event.quality_score = round(1 - 0.25 * random.uniform() ** 2);
    if (random.uniform() < 0.03) event.feedback = random.uniform() < 0.85 ? 1 : -1;
  }
  if (classes !== undefined) {
    event.prediction_class = random.pick(classes).name;
    event.confidence_score = round(Math.max(0, (isNew ? 0.86 : 0.96) - 0.3 * random.uniform() ** 3));
    event.input_size_bytes = Math.round(random.logNormal(180_000, 0.6));
  }
  return event;
}

/** A few users ask a lot, most ask little. */
function zipf(random: Random): number {
  return Math.floor(users ** random.uniform());
}

function round(value: number): number {
  return Math.round(value * 1_000) / 1_000;
}
