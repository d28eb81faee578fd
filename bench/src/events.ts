/**
 * The rows every side is given: seeded, so that two sides (and two runs) store the same events.
 *
 * The mix is lifelike where it costs something: several model versions, a third of the events with
 * metadata, a prediction class and a confidence on most, 1 % errors with a message. Latencies stay under
 * 5 s, so the article's anomaly check never scans its table: the comparison is kinder to the article.
 */

export interface BenchEvent {
  timestamp?: string;
  model_version: string;
  inference_time_ms: number;
  confidence_score?: number;
  input_size_bytes: number;
  prediction_class?: string;
  is_error: boolean;
  error_message?: string;
  metadata?: Record<string, string | number>;
  /** Nowcast's own fields, for measurements without another side. */
  feature?: string;
  session_id?: string;
}

export interface EventPool {
  /** How many distinct events; requests go round them. */
  count: number;
  seed: number;
  /** Time of the first event in epoch ms; null leaves timestamps to the server. Events are 1 ms apart. */
  firstAtMs: number | null;
  /** `wide` spreads the events evenly over many models and features, 30 by 5. */
  mix?: 'wide';
}

export const WIDE_MODELS = Array.from(
  { length: 30 },
  (_, index) => `model-${String(index + 1).padStart(2, '0')}`,
);
export const WIDE_FEATURES = ['search', 'summarise', 'extract', 'chat', 'classify'];

const MODELS = ['ocr-v3.2.0', 'ocr-v3.2.1', 'detector-2026-09', 'llm-router-v7', 'embedder-v2'];
const MEDIAN_LATENCY_MS = [85, 92, 140, 620, 24];
const CLASSES = ['invoice', 'receipt', 'passport', 'id_card', 'contract', 'letter', 'form', 'other'];
const REGIONS = ['eu-central-1', 'eu-west-1', 'us-east-1', 'ap-south-1'];
const ERRORS = [
  'CUDA out of memory: tried to allocate 512.00 MiB',
  'upstream timed out after 4000 ms',
  'decode failed: "page 3" is not an image\n\tat decode (pipeline.py:118)',
];
const MAX_LATENCY_MS = 4_900;

export function makeEvents(pool: EventPool): BenchEvent[] {
  const random = mulberry32(pool.seed);
  const events: BenchEvent[] = [];
  for (let index = 0; index < pool.count; index++) {
    // Traffic is uneven: the first models get most of it.
    const model = Math.floor(random() ** 1.7 * MODELS.length);
    const latencyMs = Math.min(MAX_LATENCY_MS, MEDIAN_LATENCY_MS[model]! * Math.exp(0.45 * normal(random)));
    const failed = random() < 0.01;
    const event: BenchEvent = {
      model_version: MODELS[model]!,
      inference_time_ms: Math.round(latencyMs * 100) / 100,
      input_size_bytes: Math.floor(2_000 + random() * 900_000),
      is_error: failed,
    };
    if (pool.firstAtMs !== null) event.timestamp = new Date(pool.firstAtMs + index).toISOString();
    if (failed) {
      event.error_message = pick(ERRORS, random);
    } else {
      event.confidence_score = Math.round((1 - random() ** 3 * 0.6) * 10_000) / 10_000;
      event.prediction_class = pick(CLASSES, random);
    }
    if (random() < 0.33) {
      event.metadata = {
        region: pick(REGIONS, random),
        request_id: Math.floor(random() * 2 ** 48)
          .toString(16)
          .padStart(12, '0'),
        pages: 1 + Math.floor(random() * 12),
      };
    }
    if (pool.mix === 'wide') {
      event.model_version = pick(WIDE_MODELS, random);
      event.feature = pick(WIDE_FEATURES, random);
    }
    events.push(event);
  }
  return events;
}

/** Columns that an event of this benchmark carries, in the order of `copyLine`. */
export const COPY_COLUMNS = [
  'timestamp',
  'model_version',
  'inference_time_ms',
  'confidence_score',
  'input_size_bytes',
  'prediction_class',
  'is_error',
  'error_message',
  'metadata',
];

/** One row in PostgreSQL's COPY text format, line feed included. */
export function copyLine(event: BenchEvent): string {
  const fields = [
    event.timestamp,
    event.model_version,
    event.inference_time_ms,
    event.confidence_score,
    event.input_size_bytes,
    event.prediction_class,
    event.is_error ? 't' : 'f',
    event.error_message,
    event.metadata && JSON.stringify(event.metadata),
  ];
  return `${fields.map((value) => (value === undefined ? '\\N' : escapeCopy(String(value)))).join('\t')}\n`;
}

function escapeCopy(text: string): string {
  return text
    .replaceAll('\\', '\\\\')
    .replaceAll('\t', '\\t')
    .replaceAll('\n', '\\n')
    .replaceAll('\r', '\\r');
}

function pick<T>(values: readonly T[], random: () => number): T {
  return values[Math.floor(random() * values.length)]!;
}

/** Box-Muller; one of the pair is enough here. */
function normal(random: () => number): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}

/** mulberry32: 32 bits of state are plenty for a few hundred thousand events. */
function mulberry32(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
