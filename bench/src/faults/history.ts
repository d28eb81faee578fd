import { once } from 'node:events';
import { createWriteStream, type WriteStream } from 'node:fs';

/** One request of the load and what became of it; its events carry `trace_id` = `name:index`. */
export interface SentRequest {
  readonly name: string;
  readonly events: number;
  /** A batch id makes a retry harmless; only such requests are sent again. */
  readonly hasBatchId: boolean;
  /** The subscriber listens to these. */
  readonly watched: boolean;
  readonly firstSentAtMs: number;
  sends: number;
  acknowledgedAtMs: number | undefined;
}

export type Outcome =
  | { readonly kind: 'acknowledged'; readonly duplicate: boolean }
  /** 503 or 429: the server asks to come again. */
  | { readonly kind: 'later'; readonly status: number }
  /** No answer: whether it was stored is not known. */
  | { readonly kind: 'unknown'; readonly reason: string }
  /** An answer that the load never deserves. */
  | { readonly kind: 'unexpected'; readonly text: string };

/** What was sent and what was answered, in memory for the checker and as JSON lines for people. */
export class History {
  readonly requests = new Map<string, SentRequest>();
  readonly outcomes = { acknowledged: 0, duplicate: 0, later: 0, unknown: 0, unexpected: 0 };
  readonly unexpected: string[] = [];
  sentEvents = 0;
  acknowledgedEvents = 0;
  inFlight = 0;
  readonly #run: string;
  readonly #file: WriteStream;
  #waiting: (() => void)[] = [];
  #refused: (() => void)[] = [];

  constructor(file: string, run: string) {
    this.#run = run;
    this.#file = createWriteStream(file, { flags: 'a' });
  }

  plan(events: number, hasBatchId: boolean, watched: boolean): SentRequest {
    const request: SentRequest = {
      name: `${this.#run}-${this.requests.size}`,
      events,
      hasBatchId,
      watched,
      firstSentAtMs: performance.now(),
      sends: 0,
      acknowledgedAtMs: undefined,
    };
    this.requests.set(request.name, request);
    return request;
  }

  sent(request: SentRequest): void {
    if (request.sends === 0) this.sentEvents += request.events;
    request.sends += 1;
    this.inFlight += 1;
    const { name, events, hasBatchId } = request;
    this.#line({ sent: name, events, ...(hasBatchId ? { batch_id: name } : {}) });
  }

  answered(request: SentRequest, outcome: Outcome): void {
    this.inFlight -= 1;
    this.outcomes[outcome.kind] += 1;
    this.#line({ answered: request.name, ...outcome });
    if (outcome.kind === 'unexpected') this.unexpected.push(outcome.text);
    if (outcome.kind === 'later') for (const resolve of this.#refused.splice(0)) resolve();
    if (outcome.kind !== 'acknowledged') return;
    if (outcome.duplicate) this.outcomes.duplicate += 1;
    request.acknowledgedAtMs = performance.now();
    this.acknowledgedEvents += request.events;
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  /** What the nemesis did. */
  fault(what: object): void {
    this.#line(what);
  }

  /** Resolves at the next acknowledgement; false when none comes in time. */
  nextAcknowledgement(timeoutMs: number): Promise<boolean> {
    return within(timeoutMs, (resolve) => this.#waiting.push(resolve));
  }

  /** Resolves when the server next says that it takes no more (503); false when it does not in time. */
  nextRefusal(timeoutMs: number): Promise<boolean> {
    return within(timeoutMs, (resolve) => this.#refused.push(resolve));
  }

  async close(): Promise<void> {
    this.#file.end();
    await once(this.#file, 'close');
  }

  #line(content: object): void {
    this.#file.write(`${JSON.stringify({ at_ms: Math.round(performance.now()), ...content })}\n`);
  }
}

function within(timeoutMs: number, subscribe: (resolve: () => void) => void): Promise<boolean> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(false), timeoutMs);
    subscribe(() => {
      clearTimeout(timer);
      resolve(true);
    });
  });
}
