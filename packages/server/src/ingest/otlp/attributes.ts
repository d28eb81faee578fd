/**
 * Which attribute gives which field, in the four dialects that are spoken: OpenTelemetry's GenAI conventions (new and old
 * spellings), OpenInference, OpenLLMetry, and the Vercel AI SDK. The conventions are still unstable: all spellings are
 * accepted. An application may set any field by itself, as `nowcast.<field>`.
 */
import { fieldNames } from '@nowcast/protocol';
import type { Attribute, AttributeValue } from './span.ts';

/** What is looked for, each with its names, the best one first. */
const sources = {
  // What kind of span it is.
  operation: ['gen_ai.operation.name'],
  aiSdkOperation: ['ai.operationId'],
  openInferenceKind: ['openinference.span.kind'],
  traceloopKind: ['traceloop.span.kind'],
  requestType: ['llm.request.type'],

  provider: [
    'gen_ai.provider.name',
    'gen_ai.system',
    'llm.provider',
    'llm.system',
    'ai.model.provider',
    'embedding.provider',
  ],
  requestModel: [
    'gen_ai.request.model',
    'llm.request.model_name',
    'llm.request.model',
    'llm.model_name',
    'ai.model.id',
    'embedding.model_name',
    'reranker.model_name',
  ],
  responseModel: [
    'gen_ai.response.model',
    'llm.response.model_name',
    'llm.response.model',
    'ai.response.model',
  ],

  inputTokens: [
    'gen_ai.usage.input_tokens',
    'llm.token_count.prompt',
    'gen_ai.usage.prompt_tokens',
    'llm.usage.prompt_tokens',
    'ai.usage.inputTokens',
    'ai.usage.promptTokens',
    'ai.usage.tokens',
  ],
  outputTokens: [
    'gen_ai.usage.output_tokens',
    'llm.token_count.completion',
    'gen_ai.usage.completion_tokens',
    'llm.usage.completion_tokens',
    'ai.usage.outputTokens',
    'ai.usage.completionTokens',
  ],
  cachedTokens: [
    'gen_ai.usage.cache_read.input_tokens',
    'llm.token_count.prompt_details.cache_read',
    'gen_ai.usage.cache_read_input_tokens',
    'ai.usage.inputTokenDetails.cacheReadTokens',
    'ai.usage.cachedInputTokens',
  ],
  cacheWriteTokens: [
    'gen_ai.usage.cache_write.input_tokens',
    'gen_ai.usage.cache_creation.input_tokens',
    'llm.token_count.prompt_details.cache_write',
    'gen_ai.usage.cache_creation_input_tokens',
    'ai.usage.inputTokenDetails.cacheWriteTokens',
  ],
  reasoningTokens: [
    'gen_ai.usage.reasoning.output_tokens',
    'llm.token_count.completion_details.reasoning',
    'gen_ai.usage.reasoning_tokens',
    'ai.usage.outputTokenDetails.reasoningTokens',
    'ai.usage.reasoningTokens',
  ],
  costUsd: ['llm.cost.total', 'gen_ai.usage.cost', 'operation.cost'],

  firstTokenSeconds: [
    'gen_ai.response.time_to_first_chunk',
    'gen_ai.client.operation.time_to_first_chunk',
    'gen_ai.server.time_to_first_token',
  ],
  firstTokenMs: ['ai.response.msToFirstChunk', 'ai.stream.msToFirstChunk'],

  finishReasons: [
    'gen_ai.response.finish_reasons',
    'gen_ai.response.finish_reason',
    'gen_ai.response.stop_reason',
    'llm.finish_reason',
    'ai.response.finishReason',
  ],
  errorType: ['error.type'],
  exceptionType: ['exception.type'],
  exceptionMessage: ['exception.message'],

  user: [
    'user.id',
    'enduser.id',
    'gen_ai.user.id',
    'gen_ai.user',
    'llm.user',
    'traceloop.association.properties.user_id',
    'traceloop.association.properties.userId',
    'ai.telemetry.metadata.userId',
    'ai.telemetry.metadata.user_id',
    'ai.settings.context.userId',
  ],
  session: [
    'gen_ai.conversation.id',
    'session.id',
    'traceloop.association.properties.session_id',
    'traceloop.association.properties.sessionId',
    'ai.telemetry.metadata.sessionId',
    'ai.telemetry.metadata.session_id',
    'ai.settings.context.sessionId',
  ],
  feature: [
    'traceloop.association.properties.feature',
    'ai.telemetry.metadata.feature',
    'gen_ai.agent.name',
    'agent.name',
    'ai.telemetry.functionId',
    'gen_ai.workflow.name',
    'traceloop.workflow.name',
    'gen_ai.prompt.name',
    'traceloop.prompt.key',
  ],
  variant: [
    'traceloop.association.properties.variant',
    'ai.telemetry.metadata.variant',
    'feature_flag.result.variant',
    'feature_flag.variant',
  ],
  service: ['service.name'],
  serviceVersion: ['service.version'],
  environment: ['deployment.environment.name', 'deployment.environment'],
  responseId: ['gen_ai.response.id', 'ai.response.id'],
} as const satisfies Record<string, readonly string[]>;

/** `metadata` and the times come from the span itself. */
const ownFields = fieldNames.filter((name) => name !== 'metadata' && name !== 'timestamp');
const ownPrefix = 'nowcast.';

export type Slot = keyof typeof sources;

const slots = new Map<string, { readonly slot: number; readonly rank: number }>();
const slotNumbers = new Map<string, number>();
for (const [slot, names] of Object.entries(sources)) {
  const number = slotNumbers.size;
  slotNumbers.set(slot, number);
  for (const [rank, name] of names.entries()) slots.set(name, { slot: number, rank });
}
for (const field of ownFields) {
  const number = slotNumbers.size;
  slotNumbers.set(ownPrefix + field, number);
  slots.set(ownPrefix + field, { slot: number, rank: 0 });
}
const slotCount = slotNumbers.size;
/** What a resource says holds until a span says otherwise. */
const resourceRank = 254;
const absentRank = 255;

/**
 * The attributes of one span after the other, each in its slot. Used again for every span: nothing is allocated for what
 * is known.
 */
export class SpanAttributes {
  readonly #values: (AttributeValue | undefined)[] = Array(slotCount).fill(undefined);
  readonly #ranks = new Uint8Array(slotCount).fill(absentRank);
  readonly #resourceValues: (AttributeValue | undefined)[] = Array(slotCount).fill(undefined);
  /** The application's own attributes, as they came. */
  #others: Attribute[] = [];

  setResource(attributes: readonly Attribute[]): void {
    this.#resourceValues.fill(undefined);
    for (const { name, value } of attributes) {
      const known = slots.get(name);
      if (known !== undefined) this.#resourceValues[known.slot] = value;
    }
  }

  read(attributes: readonly Attribute[]): void {
    for (let slot = 0; slot < slotCount; slot += 1) {
      const value = this.#resourceValues[slot];
      this.#values[slot] = value;
      this.#ranks[slot] = value === undefined ? absentRank : resourceRank;
    }
    if (this.#others.length > 0) this.#others = [];
    this.add(attributes);
  }

  /** Of an event of the same span. */
  add(attributes: readonly Attribute[]): void {
    for (const attribute of attributes) {
      const known = slots.get(attribute.name);
      if (known === undefined) this.#others.push(attribute);
      else if (known.rank < this.#ranks[known.slot]!) {
        this.#ranks[known.slot] = known.rank;
        this.#values[known.slot] = attribute.value;
      }
    }
  }

  get others(): readonly Attribute[] {
    return this.#others;
  }

  value(slot: Slot): AttributeValue | undefined {
    return this.#values[slotNumbers.get(slot)!];
  }

  /** What the application set as `nowcast.<field>`. */
  forEachOwn(take: (field: string, value: AttributeValue) => void): void {
    for (let index = 0; index < ownFields.length; index += 1) {
      const value = this.#values[firstOwnSlot + index];
      if (value !== undefined) take(ownFields[index]!, value);
    }
  }

  text(slot: Slot): string | undefined {
    const value = this.value(slot);
    return typeof value === 'string' && value !== '' ? value : undefined;
  }

  /** Some instrumentations write numbers as texts. */
  number(slot: Slot): number | undefined {
    const value = this.value(slot);
    const number = typeof value === 'string' && value !== '' ? Number(value) : value;
    return typeof number === 'number' && Number.isFinite(number) && number >= 0 ? number : undefined;
  }

  count(slot: Slot): number | undefined {
    const number = this.number(slot);
    return number === undefined ? undefined : Math.round(number);
  }
}

const firstOwnSlot = slotNumbers.get(ownPrefix + ownFields[0]!)!;

/** Prompts, answers, arguments and documents are never stored, nor is what may hold them under a name of its own. */
const namespaces =
  /^(?:gen_ai|llm|ai|openinference|traceloop|input|output|embedding|reranker|retrieval|document|tool|message|messages|prompt|completion|metadata|exception|http|url|db|rpc|code|net|server|network|peer|thread|telemetry|operation|resource|process|host|os|container|k8s|cloud|otel|user_agent|mlflow|langfuse|lk|logfire|langsmith|nowcast)(?:[._]|$)/;
const contentWords = new Set(
  [
    'content body text message prompt completion input output question query answer argument arg parameter param result',
    'response request document header cookie authorization token secret password key event email phone address history',
  ]
    .join(' ')
    .split(' '),
);
/** A name that ends so tells of a thing without holding it. */
const tellingEnds = new Set('id name count size length type version status ms seconds'.split(' '));
/** Inside those namespaces these say how a call was made, never what was said. */
const harmless = new Set([
  'gen_ai.request.temperature',
  'gen_ai.request.top_p',
  'gen_ai.request.max_tokens',
  'gen_ai.request.stream',
  'gen_ai.is_streaming',
  'llm.is_streaming',
  'gen_ai.prompt.version',
  'traceloop.prompt.version',
  'gen_ai.tool.name',
  'server.address',
]);
const maxNameLength = 100;
const maxRememberedNames = 2_000;
const remembered = new Map<string, boolean>();

/** Whether the value of this attribute is read from the wire at all. */
export function isWanted(name: string): boolean {
  if (slots.has(name)) return true;
  let wanted = remembered.get(name);
  if (wanted === undefined) {
    wanted = harmless.has(name) || isApplicationsOwn(name);
    if (remembered.size < maxRememberedNames) remembered.set(name, wanted);
  }
  return wanted;
}

function isApplicationsOwn(name: string): boolean {
  if (name.length > maxNameLength) return false;
  // What a user hands to OpenLLMetry or the AI SDK to tell calls apart by.
  const associated = /^(?:traceloop\.association\.properties|ai\.telemetry\.metadata)\.(.+)/.exec(name)?.[1];
  if (associated === undefined && namespaces.test(name)) return false;
  const words = (associated ?? name)
    .split(/[^A-Za-z0-9]+|(?<=[a-z0-9])(?=[A-Z])/)
    .map((word) => word.toLowerCase());
  return (
    tellingEnds.has(words.at(-1)!) ||
    !words.some((word) => contentWords.has(word) || contentWords.has(word.replace(/s$/, '')))
  );
}
