import type { InferenceEvent, Measurement, ObservedCall } from '../event.ts';
import { IdleWatch } from './idleWatch.ts';

/** What is needed of a client of Nowcast, whichever build of this package it is from. */
export interface Recorder {
  start(call: ObservedCall): Measurement;
}

export interface ObserveOptions {
  /** Who serves the model, as the price list names it; that of the SDK when absent. */
  readonly provider?: string;
  /**
   * Stores what was asked and answered as `metadata.prompt` and `metadata.completion`, up to 4,000 characters each. False
   * when absent: prompts and answers never leave the application unless asked for.
   */
  readonly captureContent?: boolean;
  /**
   * An answer that the application has not read any further for so long is recorded as it is, `metadata.aborted`. Five
   * minutes when absent.
   */
  readonly idleTimeoutMs?: number;
}

const defaultIdleTimeoutMs = 300_000;

export type Fields = Partial<InferenceEvent>;

/** What an answer has told so far. Its parts come one by one, or all in one. */
export interface AnswerReader {
  /** @returns whether this part holds something that the model wrote */
  read(part: unknown): boolean;
  fields(): Fields;
  /** The error that the answer tells of, where it did not come as an exception. */
  readonly failure: unknown;
}

const maxRememberedModels = 100;

/**
 * A failed call knows only the name that was asked for. It counts for the version that answered to that name last, or
 * each version would be without errors and the bare name all errors.
 */
export class AnsweredModels {
  readonly #versions = new Map<string, string>();

  versionOf(asked: string): string {
    return this.#versions.get(asked) ?? asked;
  }

  note(asked: string, answered: string | undefined): void {
    if (answered === undefined || answered === asked) return;
    if (this.#versions.size >= maxRememberedModels) this.#versions.clear();
    this.#versions.set(asked, answered);
  }
}

/** One call to a model, from the moment it is made. Nothing here throws. */
export class ModelCall {
  readonly #measured: Measurement;
  readonly #reader: AnswerReader;
  readonly #asked: string;
  readonly #models: AnsweredModels;
  readonly #signal: AbortSignal | undefined;
  readonly #idle: IdleWatch;
  #unread: string | undefined;
  #stopListening: (() => void) | undefined;

  /** @param signal by which the application may end the call: that is no failure of the model */
  constructor(
    recorder: Recorder,
    call: ObservedCall,
    reader: AnswerReader,
    models: AnsweredModels,
    signal: AbortSignal | undefined,
    { idleTimeoutMs = defaultIdleTimeoutMs }: ObserveOptions,
  ) {
    this.#idle = new IdleWatch(idleTimeoutMs, () => this.end(true));
    this.#asked = call.model_version;
    this.#models = models;
    this.#reader = reader;
    this.#signal = signal;
    this.#measured = recorder.start({ ...call, model_version: models.versionOf(call.model_version) });
  }

  /** The head of the answer is here; what follows may never be read. */
  begins(): void {
    this.#idle.start();
  }

  /** A stream begins, which the application may end by a signal before it reads any of it. */
  beginsStream(signal: AbortSignal | undefined): void {
    this.begins();
    if (signal === undefined) return;
    const abort = () => {
      // An SDK aborts a request that fails, too: while something is being read, that tells what happened.
      if (!this.#idle.isReading) this.fail(signal.reason, true);
    };
    signal.addEventListener('abort', abort);
    this.#stopListening = () => signal.removeEventListener('abort', abort);
  }

  /** Waits for what the application asks for, such as the next part of a stream. */
  async waitFor<Part>(ask: () => PromiseLike<Part>): Promise<Part> {
    this.#idle.reads();
    try {
      return await ask();
    } finally {
      this.#idle.hasRead();
    }
  }

  /** A part of a stream. */
  read(part: unknown): void {
    try {
      if (this.#reader.read(part)) this.#measured.firstToken();
    } catch (error) {
      this.#unread ??= String(error);
    }
  }

  /** The whole answer. */
  answer(answer: unknown): void {
    try {
      this.#reader.read(answer);
    } catch (error) {
      this.#unread ??= String(error);
    }
    this.end();
  }

  /** @param isCutShort whether the application wanted no more */
  end(isCutShort = false): void {
    this.#stop();
    const { failure } = this.#reader;
    if (failure !== undefined) this.#measured.fail(failure, this.#fields());
    else this.#measured.succeed(() => this.#fields(isCutShort));
  }

  /** @param wasAborted whether the application is known to have ended it, by whatever signal */
  fail(error: unknown, wasAborted = this.#signal?.aborted === true): void {
    this.#stop();
    if (!wasAborted || isTimeout(this.#signal?.reason)) this.#measured.fail(error, this.#fields());
    else this.end(true);
  }

  #stop(): void {
    this.#idle.stop();
    this.#stopListening?.();
  }

  #fields(isCutShort = false): Fields {
    const fields = this.#reader.fields();
    this.#models.note(this.#asked, fields.model_version ?? undefined);
    const answered = fields.model_version ?? this.#models.versionOf(this.#asked);
    return {
      ...fields,
      model_version: answered,
      metadata: definedOnly({
        ...fields.metadata,
        request_model: answered === this.#asked ? undefined : this.#asked,
        aborted: isCutShort || undefined,
        unread: this.#unread,
      }),
    };
  }
}

/** Reads a stream on its way to the application. What the application sees is the same, with the same errors. */
export async function* observeParts<Part>(
  parts: AsyncIterable<Part>,
  call: ModelCall,
  { isHidden, signal }: { isHidden?: (part: Part) => boolean; signal?: AbortSignal | undefined },
): AsyncGenerator<Part, void, undefined> {
  const iterator = parts[Symbol.asyncIterator]();
  let isOver = false;
  try {
    for (;;) {
      const { done, value } = await call.waitFor(() => iterator.next());
      if (done === true) break;
      call.read(value);
      if (isHidden?.(value) !== true) yield value;
    }
    isOver = true;
    call.end(signal?.aborted);
  } catch (error) {
    isOver = true;
    call.fail(error);
    throw error;
  } finally {
    // Only the first end counts: here the application has left its loop.
    call.end(true);
    if (!isOver) await iterator.return?.();
  }
}

/** `AbortSignal.timeout()` is patience that was too short, not a user who changed their mind. */
function isTimeout(reason: unknown): boolean {
  return (reason as { name?: unknown } | undefined)?.name === 'TimeoutError';
}

export function definedOnly(values: Record<string, unknown>): Record<string, unknown> {
  for (const name in values) if (values[name] === undefined) delete values[name];
  return values;
}

/** A number of tokens, from a service that may leave it out or say null. */
export function count(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : undefined;
}

export function text(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

const maxContentLength = 4_000;

export function content(value: unknown): string | undefined {
  if (value === undefined) return undefined;
  return (typeof value === 'string' ? value : JSON.stringify(value))?.slice(0, maxContentLength);
}

/** Adds to a text that is kept, as far as it may grow. */
export function grow(kept: string, more: unknown): string {
  return typeof more === 'string' && kept.length < maxContentLength
    ? (kept + more).slice(0, maxContentLength)
    : kept;
}
