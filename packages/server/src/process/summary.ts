import { escapeCopyText, minuteOf, sqlTimestamp, type ValidEvent } from '@nowcast/protocol';
import { addToHistogram, binOf, type Histogram, type HistogramEdges } from './histogram.ts';
import type { RunningQuantiles } from './runningQuantiles.ts';

/**
 * What a set of events adds to one key (minute, model_version, feature, variant): one row of
 * `nowcast.summary_partials`. SQL makes the same of the other door's rows (sql/internal/20_summaries.sql); a
 * property test holds the two together.
 */
class Summary {
  readonly minuteMicros: number;
  readonly modelVersion: string;
  readonly feature: string;
  readonly variant: string;
  requests = 0;
  errors = 0;
  latencySum = 0;
  latencySumSq = 0;
  latencyLogSum = 0;
  latencyLogSumSq = 0;
  latencyMin = Number.POSITIVE_INFINITY;
  latencyMax = Number.NEGATIVE_INFINITY;
  readonly confidence = new OptionalSum();
  readonly quality = new OptionalSum();
  readonly feedback = new OptionalSum();
  readonly inputSize = new OptionalSum();
  readonly inputTokens = new OptionalSum();
  readonly outputTokens = new OptionalSum();
  readonly cachedInputTokens = new OptionalSum();
  readonly cost = new OptionalSum();
  readonly value = new OptionalSum();
  readonly compute = new OptionalSum();
  readonly ttft = new OptionalSum();
  readonly latencyBins: Histogram = new Map();
  readonly confidenceBins: Histogram = new Map();

  constructor(minuteMicros: number, event: ValidEvent) {
    this.minuteMicros = minuteMicros;
    this.modelVersion = event.model_version;
    this.feature = event.feature ?? '';
    this.variant = event.variant ?? '';
  }

  add(event: ValidEvent, edges: HistogramEdges): void {
    const ms = settled(event.inference_time_ms);
    this.requests += 1;
    if (event.is_error) this.errors += 1;
    this.latencySum += ms;
    this.latencySumSq += ms * ms;
    if (ms > 0) {
      const log = Math.log(ms);
      this.latencyLogSum += log;
      this.latencyLogSumSq += log * log;
    }
    if (ms < this.latencyMin) this.latencyMin = ms;
    if (ms > this.latencyMax) this.latencyMax = ms;
    addToHistogram(this.latencyBins, binOf(edges.latency, ms));
    const confidence = event.confidence_score;
    if (confidence !== null) {
      this.confidence.add(confidence);
      addToHistogram(this.confidenceBins, binOf(edges.confidence, confidence));
    }
    if (event.quality_score !== null) this.quality.add(event.quality_score);
    if (event.feedback !== null) this.feedback.add(event.feedback);
    if (event.input_size_bytes !== null) this.inputSize.add(event.input_size_bytes);
    if (event.input_tokens !== null) this.inputTokens.add(event.input_tokens);
    if (event.output_tokens !== null) this.outputTokens.add(event.output_tokens);
    if (event.cached_input_tokens !== null) this.cachedInputTokens.add(event.cached_input_tokens);
    if (event.cost_usd !== null) this.cost.add(event.cost_usd);
    if (event.value_usd !== null) this.value.add(event.value_usd);
    if (event.compute_ms !== null) this.compute.add(event.compute_ms);
    if (event.ttft_ms !== null) this.ttft.add(event.ttft_ms);
  }

  /**
   * A line of COPY, values in the order of the table's columns; `running` as `RunningQuantiles` says it, where the
   * table has it.
   */
  copyLine(running?: string): string {
    const [latencyBins, latencyCounts] = copyArrays(this.latencyBins);
    const [confidenceBins, confidenceCounts] = copyArrays(this.confidenceBins);
    return `${sqlTimestamp(this.minuteMicros)}\t${escapeCopyText(this.modelVersion)}\t${escapeCopyText(
      this.feature,
    )}\t${escapeCopyText(this.variant)}\t${this.requests}\t${this.errors}\t${this.latencySum}\t${this.latencySumSq}\t${
      this.latencyLogSum
    }\t${this.latencyLogSumSq}\t${this.latencyMin}\t${this.latencyMax}\t${this.confidence.count}\t${
      this.confidence.sumOrNull
    }\t${this.confidence.sumSqOrNull}\t${this.quality.count}\t${this.quality.sumOrNull}\t${
      this.quality.sumSqOrNull
    }\t${this.feedback.count}\t${this.feedback.sumOrNull}\t${this.inputSize.sumOrNull}\t${
      this.inputTokens.sumOrNull
    }\t${this.outputTokens.sumOrNull}\t${this.cachedInputTokens.sumOrNull}\t${this.cost.count}\t${
      this.cost.sumOrNull
    }\t${this.value.sumOrNull}\t${this.compute.sumOrNull}\t${this.ttft.count}\t${
      this.ttft.sumOrNull
    }\t${latencyBins}\t${latencyCounts}\t${confidenceBins}\t${confidenceCounts}${running === undefined ? '' : `\t${running}`}\n`;
  }
}

/** Count, sum and sum of squares of a field that events may lack; null while nothing was counted. */
class OptionalSum {
  count = 0;
  sum = 0;
  sumSq = 0;

  add(given: number): void {
    const value = settled(given);
    this.count += 1;
    this.sum += value;
    this.sumSq += value * value;
  }

  get sumOrNull(): string {
    return this.count === 0 ? copyNull : String(this.sum);
  }

  get sumSqOrNull(): string {
    return this.count === 0 ? copyNull : String(this.sumSq);
  }
}

/** Summaries of the events of one transaction, one a key. */
export class Summaries {
  /** By model; a transaction holds few minutes, features and variants of each. No key text is put together. */
  readonly #byModel = new Map<string, Summary[]>();
  /** Of models with many keys. */
  readonly #byKey = new Map<readonly Summary[], Map<string, Summary>>();
  readonly #edges: HistogramEdges;

  constructor(edges: HistogramEdges) {
    this.#edges = edges;
  }

  add(event: ValidEvent): void {
    this.#of(event).add(event, this.#edges);
  }

  /**
   * Lines of COPY, one a key: into `nowcast.summary_partials` with the writer's quantiles, to which these are added, or
   * into `nowcast.unkept_partials` without.
   */
  copyData(quantiles?: RunningQuantiles): Buffer {
    let lines = '';
    for (const [model, summaries] of this.#byModel) {
      if (quantiles !== undefined) for (const summary of summaries) quantiles.add(model, summary);
      // Once a minute of the model is enough.
      let told: number | undefined;
      for (const summary of summaries) {
        const { minuteMicros } = summary;
        if (quantiles === undefined) lines += summary.copyLine();
        else
          lines += summary.copyLine(
            minuteMicros === told ? copyNull : quantiles.copyText(model, minuteMicros),
          );
        told = minuteMicros;
      }
    }
    return Buffer.from(lines, 'utf8');
  }

  #of(event: ValidEvent): Summary {
    const minute = minuteOf(event.timestampMicros);
    let ofModel = this.#byModel.get(event.model_version);
    if (ofModel === undefined) {
      ofModel = [];
      this.#byModel.set(event.model_version, ofModel);
    }
    const feature = event.feature ?? '';
    const variant = event.variant ?? '';
    if (ofModel.length > maxSearched) return this.#find(ofModel, minute, feature, variant, event);
    // Backwards: events come in the order of time, so the newest minute is the likeliest.
    for (let index = ofModel.length - 1; index >= 0; index -= 1) {
      const summary = ofModel[index]!;
      if (summary.minuteMicros === minute && summary.feature === feature && summary.variant === variant)
        return summary;
    }
    const summary = new Summary(minute, event);
    ofModel.push(summary);
    return summary;
  }

  /** Among many: somebody sends an id of each request as its feature. */
  #find(ofModel: Summary[], minute: number, feature: string, variant: string, event: ValidEvent): Summary {
    let byKey = this.#byKey.get(ofModel);
    if (byKey === undefined) {
      byKey = new Map(ofModel.map((each) => [keyOf(each.minuteMicros, each.feature, each.variant), each]));
      this.#byKey.set(ofModel, byKey);
    }
    const key = keyOf(minute, feature, variant);
    let summary = byKey.get(key);
    if (summary === undefined) {
      summary = new Summary(minute, event);
      ofModel.push(summary);
      byKey.set(key, summary);
    }
    return summary;
  }
}

/** Neither text can hold a NUL. */
const keyOf = (minute: number, feature: string, variant: string) => `${minute}\0${feature}\0${variant}`;
/** Comparing so few is quicker than putting a key together. */
const maxSearched = 32;

/** PostgreSQL refuses what is too small for a double where it multiplies or divides: see nowcast.settled. */
function settled(value: number): number {
  return Math.abs(value) < 1e-100 ? 0 : value;
}

const copyNull = '\\N';

/** Bins ascending and their counts, as two array literals; nulls when nothing was counted. */
function copyArrays(histogram: Histogram): [string, string] {
  if (histogram.size === 0) return [copyNull, copyNull];
  const bins = [...histogram.keys()].sort((a, b) => a - b);
  return [`{${bins.join(',')}}`, `{${bins.map((bin) => histogram.get(bin)).join(',')}}`];
}
