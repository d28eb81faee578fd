/** `system_alerts.explanation`: what changed, who explains it, three of its events. Every part of it may be missing. */
export interface Explanation {
  readonly sentence: string;
  readonly causeSentence: string;
  /** A sentence each, with its share of the change; the best first. */
  readonly causes: readonly string[];
  /** The first bad moment. */
  readonly since: number | undefined;
  readonly baselineSince: number | undefined;
  readonly baselineUntil: number | undefined;
  readonly examples: readonly Example[];
  readonly deployed: readonly { readonly what: string; readonly value: string; readonly at: number }[];
  readonly dataAgeSeconds: number | null;
}

export interface Example {
  readonly id: string;
  readonly at: number | undefined;
  readonly model: string;
  readonly latencyMs: number;
  readonly isError: boolean;
  readonly errorMessage: string | null;
  readonly feature: string | null;
  readonly userId: string | null;
  readonly traceId: string | null;
}

type Row = Readonly<Record<string, unknown>>;

export function readExplanation(value: unknown): Explanation | null {
  if (!isRow(value)) return null;
  return {
    sentence: text(value.sentence) ?? '',
    causeSentence: text(value.cause_sentence) ?? '',
    causes: rows(value.causes).map(
      (row) => text(row.sentence) ?? `${word(row.dimension)} ${word(row.value)}`,
    ),
    since: moment(value.since),
    baselineSince: moment(value.baseline_since),
    baselineUntil: moment(value.baseline_until),
    examples: rows(value.examples).map((row) => ({
      id: word(row.id),
      at: moment(row.timestamp),
      model: word(row.model_version),
      latencyMs: number(row.inference_time_ms),
      isError: row.is_error === true,
      errorMessage: text(row.error_message),
      feature: text(row.feature),
      userId: text(row.user_id),
      traceId: text(row.trace_id),
    })),
    deployed: rows(value.deployed).flatMap((row) => {
      const at = moment(row.first_seen_at);
      return at === undefined ? [] : [{ what: word(row.what), value: word(row.value), at }];
    }),
    dataAgeSeconds: typeof value.data_age_seconds === 'number' ? value.data_age_seconds : null,
  };
}

function rows(value: unknown): readonly Row[] {
  return Array.isArray(value) ? value.filter(isRow) : [];
}

/** Objects are no words: JSON may name a field of theirs toString. */
function word(value: unknown): string {
  return typeof value === 'object' ? '' : String(value);
}

function moment(value: unknown): number | undefined {
  const at = Date.parse(word(value));
  return Number.isNaN(at) ? undefined : at;
}

function number(value: unknown): number {
  return typeof value === 'object' ? Number.NaN : Number(value);
}

function text(value: unknown): string | null {
  return typeof value === 'string' ? value : null;
}

function isRow(value: unknown): value is Row {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
