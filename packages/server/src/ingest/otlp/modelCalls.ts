/** Spans become events: those that are a call to a model, each call once. */
import { eventFields, type FieldName, sqlTimestamp } from '@nowcast/protocol';
import { costOf } from '../../process/price.ts';
import { SpanAttributes } from './attributes.ts';
import { microsOf, millisBetween, type ResourceSpans, type Span } from './span.ts';

export type SpanEventFields = { [F in FieldName]?: unknown };

/** Calls whose children were seen lately; ended ones come soon after. */
const maxRememberedParents = 50_000;
const maxRememberedModels = 1_000;
const maxErrorMessageLength = 2_000;
/** An application's own attribute that is longer is more likely to hold contents than to tell calls apart. */
const maxOwnAttributeLength = 200;
const maxOwnAttributes = 32;

/** Reads model calls out of spans. Holds little, and bounded: what later spans need to know of earlier ones. */
export class ModelCalls {
  readonly #attributes = new SpanAttributes();
  /** Two generations, so that the oldest half is forgotten at once. */
  #parents = new Set<string>();
  #olderParents = new Set<string>();
  /** By the name that was asked for: the version that answered to it last. */
  readonly #versions = new Map<string, string>();

  /**
   * The calls in these spans. Spans that are none (requests, tools, agents, chains) are passed over, and so is a call that
   * only wraps another one and repeats its usage: LangChain's around the provider's own, an agent's around its steps.
   */
  read(resources: readonly ResourceSpans[]): SpanEventFields[] {
    const calls: { span: Span; event: SpanEventFields }[] = [];
    for (const { resource, spans } of resources) {
      this.#attributes.setResource(resource);
      for (const span of spans) {
        this.#attributes.read(span.attributes);
        if (isModelCall(this.#attributes)) calls.push({ span, event: this.#eventOf(span) });
      }
    }
    if (calls.length === 0) return [];
    this.#rememberParents(calls, resources);
    return calls.filter(({ span }) => !this.#wrapsAnother(span)).map(({ event }) => event);
  }

  #rememberParents(calls: readonly { span: Span }[], resources: readonly ResourceSpans[]): void {
    let parentOf: Map<string, string> | undefined;
    // Each ancestor once: long chains of calls must not cost their length for every link.
    const walked = new Set<string>();
    for (const { span } of calls) {
      if (span.parentSpanId === '' || span.parentSpanId === span.spanId) continue;
      parentOf ??= parentsIn(resources);
      let ancestor: string | undefined = span.parentSpanId;
      while (ancestor !== undefined && ancestor !== '' && !walked.has(ancestor)) {
        walked.add(ancestor);
        this.#parents.add(ancestor);
        ancestor = parentOf.get(ancestor);
      }
    }
    if (this.#parents.size > maxRememberedParents) {
      this.#olderParents = this.#parents;
      this.#parents = new Set();
    }
  }

  #wrapsAnother({ spanId }: Span): boolean {
    return this.#parents.has(spanId) || this.#olderParents.has(spanId);
  }

  #eventOf(span: Span): SpanEventFields {
    const attributes = this.#attributes;
    const exception = span.events.find(({ name }) => name === 'exception');
    if (exception !== undefined) attributes.add(exception.attributes);
    const finishReasons = listOf(attributes.value('finishReasons'));
    const errorType = attributes.text('errorType');
    const isError = span.isError || errorType !== undefined || finishReasons.includes('error');
    const asked = attributes.text('requestModel');
    const model = this.#versionOf(asked, attributes.text('responseModel'));
    const { input, cached, cacheWrite } = inputTokens(attributes);
    const event: SpanEventFields = {
      timestamp: sqlTimestamp(microsOf(span.end)),
      model_version: model,
      inference_time_ms: millisBetween(span.start, span.end),
      is_error: isError,
      error_message: isError ? errorMessage(span, attributes, errorType) : undefined,
      provider: providerOf(attributes.text('provider')),
      user_id: idOf(attributes.value('user')),
      session_id: idOf(attributes.value('session')),
      feature: clip(attributes.text('feature') ?? namedService(attributes.text('service')), 'feature'),
      variant: clip(attributes.text('variant'), 'variant'),
      trace_id: span.traceId === '' ? undefined : span.traceId,
      input_tokens: input,
      output_tokens: attributes.count('outputTokens'),
      cached_input_tokens: cached,
      ttft_ms: firstTokenMs(span, attributes),
      cost_usd: attributes.number('costUsd'),
    };
    attributes.forEachOwn((field, value) => {
      event[field as FieldName] = value;
    });
    // Only here is it known how many tokens were written to the cache, which has a price of its own.
    event.cost_usd ??= costOf(
      ifText(event.provider),
      ifText(event.model_version),
      {
        input: ifNumber(event.input_tokens),
        output: ifNumber(event.output_tokens),
        cached: ifNumber(event.cached_input_tokens),
        cacheWrite,
      },
      microsOf(span.end) / 1000,
    );
    event.metadata = metadataOf(span, attributes, {
      operation: attributes.text('operation') ?? attributes.text('aiSdkOperation'),
      request_model: asked === model ? undefined : asked,
      response_id: attributes.text('responseId'),
      finish_reasons: finishReasons.length > 0 ? finishReasons : undefined,
      cache_write_tokens: cacheWrite || undefined,
      reasoning_tokens: attributes.count('reasoningTokens') || undefined,
      error_type: isError ? (errorType ?? attributes.text('exceptionType')) : undefined,
      service: namedService(attributes.text('service')),
      service_version: attributes.text('serviceVersion'),
      environment: attributes.text('environment'),
    });
    return event;
  }

  /**
   * The model that answered. A failed call knows only the name that was asked for: it counts for the version that answered
   * to that name last (gpt-4o: gpt-4o-2024-08-06), or each version would be without errors and the bare name all errors.
   */
  #versionOf(asked: string | undefined, answered: string | undefined): string | undefined {
    if (asked === undefined) return answered;
    if (answered === undefined) return this.#versions.get(asked) ?? asked;
    if (answered !== asked && answered.startsWith(asked.replace(/-latest$/, ''))) {
      if (this.#versions.size >= maxRememberedModels && !this.#versions.has(asked)) this.#versions.clear();
      this.#versions.set(asked, answered);
    }
    return answered;
  }
}

function parentsIn(resources: readonly ResourceSpans[]): Map<string, string> {
  const parents = new Map<string, string>();
  for (const { spans } of resources)
    for (const { spanId, parentSpanId } of spans) parents.set(spanId, parentSpanId);
  return parents;
}

const callOperations = new Set(['chat', 'text_completion', 'generate_content', 'embeddings']);
const otherOperations = new Set([
  'execute_tool',
  'invoke_agent',
  'create_agent',
  'invoke_workflow',
  'retrieval',
]);
const openInferenceCalls = new Set(['LLM', 'EMBEDDING', 'RERANKER']);

/** Whether a span is one call to a model. Parents repeat the usage of their steps: see docs/opentelemetry.md. */
function isModelCall(attributes: SpanAttributes): boolean {
  const aiSdk = attributes.text('aiSdkOperation');
  // ai.generateText repeats what its ai.generateText.doGenerate say.
  if (aiSdk !== undefined) return /\.do(?:Generate|Stream|Embed|Rerank)$/.test(aiSdk);
  const operation = attributes.text('operation');
  const hasModel = (attributes.text('requestModel') ?? attributes.text('responseModel')) !== undefined;
  if (operation !== undefined) {
    return callOperations.has(operation) || (hasModel && !otherOperations.has(operation));
  }
  const kind = attributes.text('openInferenceKind');
  if (kind !== undefined) return openInferenceCalls.has(kind.toUpperCase());
  if (attributes.text('requestType') !== undefined) return true;
  if (attributes.text('traceloopKind') !== undefined) return false;
  return hasModel && attributes.text('provider') !== undefined;
}

/** Parts cannot exceed the whole: senders that count cached tokens apart are told by that. */
function inputTokens(attributes: SpanAttributes): {
  input: number | undefined;
  cached: number | undefined;
  cacheWrite: number | undefined;
} {
  const input = attributes.count('inputTokens');
  const cached = attributes.count('cachedTokens');
  const cacheWrite = attributes.count('cacheWriteTokens');
  const parts = (cached ?? 0) + (cacheWrite ?? 0);
  return {
    input: input !== undefined && parts > input ? input + parts : input,
    cached,
    cacheWrite,
  };
}

/** Marks of the first token in spans of OpenInference and OpenLLMetry. */
const firstTokenEvents = new Set(['First Token Stream Event', 'llm.content.completion.chunk']);

function firstTokenMs(span: Span, attributes: SpanAttributes): number | undefined {
  const seconds = attributes.number('firstTokenSeconds');
  if (seconds !== undefined) return seconds * 1000;
  const ms = attributes.number('firstTokenMs');
  if (ms !== undefined) return ms;
  const first = span.events.find(({ name }) => firstTokenEvents.has(name));
  if (first === undefined) return undefined;
  const sinceStart = millisBetween(span.start, first.at);
  return sinceStart >= 0 ? sinceStart : undefined;
}

/** The AI SDK names the provider's API too: openai.chat, anthropic.messages. */
function providerOf(name: string | undefined): string | undefined {
  return name?.replace(/\.(?:chat|responses|completion|messages|embedding|generative-ai)$/, '');
}

/** What a service is called tells features apart where nothing else does, unless it is the SDK's makeshift. */
function namedService(service: string | undefined): string | undefined {
  return service?.startsWith('unknown_service') === true ? undefined : service;
}

function errorMessage(
  span: Span,
  attributes: SpanAttributes,
  errorType: string | undefined,
): string | undefined {
  const message = span.statusMessage || attributes.text('exceptionMessage');
  const type = errorType ?? attributes.text('exceptionType');
  const told =
    message === undefined || type === undefined || message.includes(type) ? message : `${type}: ${message}`;
  return (told ?? type)?.slice(0, maxErrorMessageLength);
}

function metadataOf(
  { spanId }: Span,
  attributes: SpanAttributes,
  known: Record<string, unknown>,
): Record<string, unknown> {
  const metadata: Record<string, unknown> = { ...known, span_id: spanId || undefined };
  let own = 0;
  for (const { name, value } of attributes.others) {
    if (own === maxOwnAttributes) break;
    if (typeof value === 'object' || (typeof value === 'string' && value.length > maxOwnAttributeLength))
      continue;
    metadata[name] = value;
    own += 1;
  }
  return metadata;
}

/** What the application set itself may be anything; intake says what is wrong with it. */
function ifText(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

function ifNumber(value: unknown): number | undefined {
  return typeof value === 'number' ? value : undefined;
}

function listOf(value: unknown): readonly string[] {
  if (Array.isArray(value)) return value.filter((item) => typeof item === 'string');
  return typeof value === 'string' && value !== '' ? [value] : [];
}

/** Ids are numbers in some applications. */
function idOf(value: unknown): string | undefined {
  if (typeof value === 'number') return String(value);
  return typeof value === 'string' && value !== ''
    ? value.slice(0, eventFields.user_id.maxLength)
    : undefined;
}

/** A name too long for a key of summaries is no reason to lose the call. */
function clip(value: string | undefined, field: 'feature' | 'variant'): string | undefined {
  return value?.slice(0, eventFields[field].maxLength);
}
