import { type Random, random } from './random.ts';

/** Incidents with a known cause, or with none, as rows of inference_logs: what an explanation is measured by. */

interface PlantedEvent {
  readonly timestamp: string;
  readonly model_version: string;
  readonly feature: string | null;
  readonly variant: string | null;
  readonly user_id: string;
  readonly inference_time_ms: number;
  readonly confidence_score: number;
  readonly is_error: boolean;
  readonly error_message: string | null;
}

type PlantedDimension = 'model_version' | 'feature' | 'variant' | 'user_id' | 'error_message';

export interface PlantedIncident {
  readonly metric: 'error_rate' | 'latency' | 'confidence';
  readonly events: readonly PlantedEvent[];
  readonly sinceMs: number;
  readonly untilMs: number;
  readonly baselineSinceMs: number;
  /** Undefined where everything changed alike. */
  readonly cause: { readonly dimension: PlantedDimension; readonly value: string } | undefined;
  /** The cause, and values whose events are the very same. */
  readonly right: readonly { readonly dimension: PlantedDimension; readonly value: string }[];
  /** What was drawn, for whoever looks into a miss. */
  readonly about: string;
}

const minuteMs = 60_000;
/** An alert fires on no less. */
const minSurplus = 15;
const texts = ['rate limit reached', 'request timed out', 'the model is overloaded', 'bad answer: not JSON'];
const newTexts = ['certificate has expired', 'connection refused', 'context length exceeded'];

interface World {
  readonly models: readonly string[];
  readonly features: readonly (string | null)[];
  readonly variants: readonly (string | null)[];
  readonly users: readonly string[];
  /** How strongly a feature keeps to its model, and a user to a feature, from 0 to 1. */
  readonly loyalty: number;
  readonly errorShare: (event: Draft) => number;
  readonly medianMs: (event: Draft) => number;
  readonly confidence: (event: Draft) => number;
  readonly textShares: readonly number[];
}

type Draft = Pick<PlantedEvent, 'model_version' | 'feature' | 'variant' | 'user_id'>;

/** `nowMs` is the end of the incident; with `isPlanted` false there is no cause. */
export function plantedIncident(seed: number, nowMs: number, isPlanted: boolean): PlantedIncident {
  for (let attempt = 0; ; attempt++) {
    const incident = tryIncident(
      random(seed * 1000 + attempt + (isPlanted ? 0 : 500_000_007)),
      seed,
      nowMs,
      isPlanted,
    );
    if (incident !== undefined) return incident;
  }
}

function tryIncident(
  r: Random,
  seed: number,
  nowMs: number,
  isPlanted: boolean,
): PlantedIncident | undefined {
  const world = makeWorld(r, seed);
  const metric = pick(r, ['error_rate', 'error_rate', 'error_rate', 'latency', 'confidence'] as const);
  const perMinute = 20 * 20 ** r.uniform();
  const incidentMinutes = 1 + r.integer(15);
  const baselineMinutes = 30 + r.integer(31);
  const sinceMs = nowMs - incidentMinutes * minuteMs - r.integer(minuteMs);
  const baselineSinceMs = sinceMs - baselineMinutes * minuteMs;
  const dimensions = [
    'model_version',
    'feature',
    'user_id',
    'variant',
    ...(metric === 'error_rate' ? (['error_message'] as const) : []),
  ] as const;
  const dimension = isPlanted ? pick(r, dimensions) : undefined;

  const drafts = arrivals(r, perMinute, baselineSinceMs, nowMs).map((atMs) => ({
    atMs,
    draft: draw(r, world),
  }));
  const isIn = ({ atMs }: { atMs: number }) => atMs >= sinceMs;
  let value: string | undefined;
  let isNew = false;
  if (dimension === 'error_message') {
    isNew = r.uniform() < 0.7;
    value = isNew ? pick(r, newTexts) : pick(r, texts);
  } else if (dimension !== undefined) {
    isNew = dimension !== 'user_id' && r.uniform() < 0.25;
    if (isNew) {
      // A new version, feature or variant takes over a part of the traffic.
      value = `new-${dimension}-${seed}`;
      const share = 0.05 + 0.5 * r.uniform();
      for (const one of drafts)
        if (isIn(one) && r.uniform() < share) one.draft = { ...one.draft, [dimension]: value };
    } else {
      value = usualValue(r, drafts.filter(isIn), dimension);
    }
    if (value === undefined) return undefined;
  }
  const hit = ({ draft }: { draft: Draft }) =>
    dimension === undefined || dimension === 'error_message' || draft[dimension] === value;

  const strength = r.uniform();
  const failing = 0.05 + (isPlanted && dimension !== 'error_message' ? 0.85 : 0.5) * strength;
  const slower = 1.6 + 6 * strength;
  const lower = 0.06 + 0.3 * strength;
  // Where everything changes, it is by an equal part of the calls or by a multiple of what each did before.
  const multiplies = !isPlanted && r.uniform() < 0.4;
  const multiple = 8 + 20 * r.uniform();
  let surplus = 0;
  const events = drafts.map((one): PlantedEvent => {
    const { atMs, draft } = one;
    const bad = isIn(one) && hit(one);
    const usualErrors = world.errorShare(draft);
    const added = !bad || metric !== 'error_rate' ? 0 : multiplies ? usualErrors * (multiple - 1) : failing;
    const isExtra = r.uniform() < added;
    const isError = isExtra || r.uniform() < usualErrors;
    const isMeasured = bad && metric !== 'error_rate';
    if (isExtra || isMeasured) surplus++;
    const ms =
      world.medianMs(draft) * Math.exp(0.35 * r.normal()) * (bad && metric === 'latency' ? slower : 1);
    const confidence =
      world.confidence(draft) + 0.07 * r.normal() - (bad && metric === 'confidence' ? lower : 0);
    const usualText = weighted(r, texts, world.textShares);
    return {
      timestamp: new Date(atMs).toISOString(),
      ...draft,
      inference_time_ms: Math.round(ms * 100) / 100,
      confidence_score: Math.min(1, Math.max(0, confidence)),
      is_error: isError,
      error_message: !isError
        ? null
        : `${isExtra && dimension === 'error_message' ? value : usualText} (request ${1000 + r.integer(9_000_000)})`,
    };
  });
  if (surplus < minSurplus) return undefined;
  if (!risesEnough(metric, events, sinceMs)) return undefined;
  const cause = dimension === undefined ? undefined : { dimension, value: value! };
  return {
    metric,
    events,
    sinceMs,
    untilMs: nowMs,
    baselineSinceMs,
    cause,
    right: cause === undefined ? [] : sameEvents(events.slice(drafts.findIndex(isIn)), cause),
    about: `${metric} ${Math.round(perMinute)}/min ${incidentMinutes} min, ${dimension ?? (multiplies ? 'all, multiplied' : 'all')}${isNew ? ' (new)' : ''}, strength ${strength.toFixed(2)}, ${world.models.length} models ${world.features.length} features ${world.users.length} users, loyalty ${world.loyalty.toFixed(2)}, surplus ${surplus}`,
  };
}

function makeWorld(r: Random, seed: number): World {
  const named = (what: string, count: number) =>
    Array.from({ length: count }, (_, i) => `${what}-${i}-of-${seed}`);
  const models = named('model', 1 + r.integer(4));
  const features = r.uniform() < 0.15 ? [null] : named('feature', 1 + r.integer(8));
  const variants = r.uniform() < 0.5 ? [null] : named('variant', 2 + r.integer(2));
  const users = named('user', Math.round(5 * 80 ** r.uniform()));
  const errors = 0.001 * 30 ** r.uniform();
  const perFeature = new Map(features.map((feature) => [feature, Math.exp(0.7 * r.normal())]));
  const perModel = new Map(models.map((model) => [model, Math.exp(0.5 * r.normal())]));
  const factor = ({ feature, model_version }: Draft) =>
    (perFeature.get(feature) ?? 1) * (perModel.get(model_version) ?? 1);
  const baseMs = 50 * 40 ** r.uniform();
  return {
    models,
    features,
    variants,
    users,
    loyalty: r.uniform() < 0.5 ? 0 : r.uniform() * 0.95,
    errorShare: (event) => Math.min(0.1, errors * factor(event)),
    medianMs: (event) => baseMs * factor(event),
    confidence: (event) => 0.9 - 0.05 * Math.min(3, factor(event)),
    textShares: texts.map(() => r.uniform() + 0.1),
  };
}

function draw(r: Random, { models, features, variants, users, loyalty }: World): Draft {
  const user = zipf(r, users.length);
  const feature = r.uniform() < loyalty ? user % features.length : zipf(r, features.length);
  const model = r.uniform() < loyalty ? feature % models.length : zipf(r, models.length);
  return {
    user_id: users[user]!,
    feature: features[feature]!,
    model_version: models[model]!,
    variant: variants[r.integer(variants.length)]!,
  };
}

/** A value that can be told from the others: neither nearly everything nor next to nothing. */
function usualValue(
  r: Random,
  drafts: readonly { draft: Draft }[],
  dimension: Exclude<PlantedDimension, 'error_message'>,
): string | undefined {
  const counts = new Map<string, number>();
  for (const { draft } of drafts) {
    const value = draft[dimension];
    if (value !== null) counts.set(value, (counts.get(value) ?? 0) + 1);
  }
  const fit = [...counts].filter(([, count]) => count >= minSurplus && count <= 0.6 * drafts.length);
  return fit.length === 0 ? undefined : pick(r, fit)[0];
}

/** Whether somebody would be woken: errors at least doubled, the slow or unsure ones at least half more. */
function risesEnough(
  metric: PlantedIncident['metric'],
  events: readonly PlantedEvent[],
  sinceMs: number,
): boolean {
  const before = events.filter(({ timestamp }) => Date.parse(timestamp) < sinceMs);
  const after = events.filter(({ timestamp }) => Date.parse(timestamp) >= sinceMs);
  const mean = (of: readonly PlantedEvent[], x: (event: PlantedEvent) => number) =>
    of.reduce((sum, event) => sum + x(event), 0) / of.length;
  if (metric === 'error_rate') {
    const share = (of: readonly PlantedEvent[]) => mean(of, ({ is_error }) => Number(is_error));
    return share(after) > 2 * share(before) + 0.005;
  }
  if (metric === 'confidence')
    return mean(after, (e) => e.confidence_score) < mean(before, (e) => e.confidence_score) - 0.01;
  const sorted = before.map((e) => e.inference_time_ms).sort((a, b) => a - b);
  const p95 = sorted[Math.floor(sorted.length * 0.95)]!;
  return mean(after, (e) => Number(e.inference_time_ms > p95)) > 0.075;
}

/** Values of other dimensions that name the very same events: no data could tell them apart. */
function sameEvents(
  incident: readonly PlantedEvent[],
  cause: { dimension: PlantedDimension; value: string },
): PlantedIncident['right'] {
  if (cause.dimension === 'error_message') return [cause];
  const dimension = cause.dimension;
  const inside = incident.filter((event) => event[dimension] === cause.value);
  const others = (['model_version', 'feature', 'variant', 'user_id'] as const).filter(
    (other) => other !== dimension,
  );
  return [
    cause,
    ...others.flatMap((other) => {
      const value = inside[0]![other];
      const isSame =
        value !== null &&
        incident.every((event) => (event[other] === value) === (event[dimension] === cause.value));
      return isSame ? [{ dimension: other, value }] : [];
    }),
  ];
}

function arrivals(r: Random, perMinute: number, fromMs: number, toMs: number): number[] {
  const times: number[] = [];
  for (let atMs = fromMs; ; ) {
    atMs += (-Math.log(1 - r.uniform()) * minuteMs) / perMinute;
    if (atMs >= toMs) return times;
    times.push(Math.floor(atMs));
  }
}

/** The first is the most frequent, as users and features are. */
function zipf(r: Random, count: number): number {
  return Math.min(count - 1, Math.floor((count + 1) ** r.uniform()) - 1);
}

function weighted<Value>(r: Random, values: readonly Value[], weights: readonly number[]): Value {
  let left = r.uniform() * weights.reduce((sum, weight) => sum + weight, 0);
  for (const [i, weight] of weights.entries()) {
    left -= weight;
    if (left < 0) return values[i]!;
  }
  return values.at(-1)!;
}

const pick = <Value>(r: Random, values: readonly Value[]): Value => values[r.integer(values.length)]!;
