/** Senders over HTTP that keep going whatever happens, and write down what they were told. */
import { Agent, request as httpRequest } from 'node:http';
import { sleep } from '../load/clock.ts';
import type { History, Outcome, SentRequest } from './history.ts';

const requestTimeoutMs = 15_000;
/** Senders come again after this long, much sooner than Retry-After says: more is in flight at each fault. */
const retryMs = 100;

interface Sender {
  /** Events of one request; 1 posts the bare event. */
  readonly events: number;
  readonly hasBatchId: boolean;
  readonly watched: boolean;
  readonly pauseMs: number;
}

/** Half of the batches carry an id and are retried; the subscriber watches the singles. */
const senders: readonly Sender[] = [
  ...Array.from({ length: 6 }, () => ({ events: 1, hasBatchId: false, watched: true, pauseMs: 8 })),
  ...Array.from({ length: 2 }, () => ({ events: 5, hasBatchId: true, watched: true, pauseMs: 40 })),
  { events: 50, hasBatchId: false, watched: false, pauseMs: 30 },
  { events: 50, hasBatchId: true, watched: false, pauseMs: 30 },
  { events: 500, hasBatchId: false, watched: false, pauseMs: 250 },
  { events: 500, hasBatchId: true, watched: false, pauseMs: 250 },
];

export class Load {
  readonly #history: History;
  readonly #port: number;
  readonly #agent = new Agent({ keepAlive: true });
  readonly #running: Promise<void>[];
  #stopping = false;

  constructor(port: number, history: History) {
    this.#port = port;
    this.#history = history;
    this.#running = senders.map((sender) => this.#keepSending(sender));
  }

  /** Sends batches at a fixed rate, whether they are answered or not. */
  async flood(eventsPerSecond: number, durationMs: number): Promise<void> {
    const batchSize = 50;
    const startedAt = performance.now();
    const answers: Promise<unknown>[] = [];
    for (let sent = 0; performance.now() - startedAt < durationMs; ) {
      const due = ((performance.now() - startedAt) / 1000) * eventsPerSecond;
      for (; sent < due; sent += batchSize) {
        answers.push(this.#send(this.#history.plan(batchSize, false, false)));
      }
      await sleep(5);
    }
    await Promise.all(answers);
  }

  /** Sends one request of a batch with an id until it is acknowledged. */
  async deliver(request: SentRequest): Promise<void> {
    for (;;) {
      const { kind } = await this.#send(request);
      if (kind === 'acknowledged' || kind === 'unexpected') return;
      await sleep(retryMs);
    }
  }

  /** Resolves when every request has its outcome. */
  async stop(): Promise<void> {
    this.#stopping = true;
    await Promise.all(this.#running);
    this.#agent.destroy();
  }

  async #keepSending({ events, hasBatchId, watched, pauseMs }: Sender): Promise<void> {
    while (!this.#stopping) {
      const request = this.#history.plan(events, hasBatchId, watched);
      if (hasBatchId) await this.deliver(request);
      else await this.#send(request);
      const wasTaken = request.acknowledgedAtMs !== undefined;
      await sleep(wasTaken ? pauseMs * (0.5 + Math.random()) : retryMs);
    }
  }

  async #send(request: SentRequest): Promise<Outcome> {
    this.#history.sent(request);
    const outcome = await this.#post(request);
    this.#history.answered(request, outcome);
    return outcome;
  }

  #post(sent: SentRequest): Promise<Outcome> {
    return new Promise((resolve) => {
      const body = bodyOf(sent);
      const lost = (error: Error) => resolve({ kind: 'unknown', reason: error.message });
      const request = httpRequest(
        {
          agent: this.#agent,
          host: '127.0.0.1',
          port: this.#port,
          method: 'POST',
          path: sent.events === 1 ? '/telemetry/inference' : '/telemetry/inference/batch',
          headers: {
            'content-type': 'application/json',
            'content-length': Buffer.byteLength(body),
            ...(sent.hasBatchId ? { 'idempotency-key': sent.name } : {}),
          },
        },
        (response) => {
          let text = '';
          response.setEncoding('utf8').on('data', (piece: string) => (text += piece));
          response.on('error', lost);
          response.on('close', () => {
            clearTimeout(timer);
            if (response.complete) resolve(judge(sent, response.statusCode!, text));
            else lost(new Error('the answer broke off'));
          });
        },
      );
      const timer = setTimeout(() => request.destroy(new Error('no answer in time')), requestTimeoutMs);
      request.on('error', (error) => {
        clearTimeout(timer);
        lost(error);
      });
      request.end(body);
    });
  }
}

function judge({ events }: SentRequest, status: number, text: string): Outcome {
  if (status === 503 || status === 429) return { kind: 'later', status };
  if (status === 200) {
    const answer = JSON.parse(text) as { status: string; accepted?: number; duplicate?: boolean };
    if (answer.status === 'logged' && (events === 1 || answer.accepted === events)) {
      return { kind: 'acknowledged', duplicate: answer.duplicate === true };
    }
  }
  return { kind: 'unexpected', text: `${status} ${text.slice(0, 300)}` };
}

function bodyOf({ name, events, watched }: SentRequest): string {
  const model = watched ? 'watched' : 'unwatched';
  const event = (index: number) =>
    `{"trace_id":"${name}:${index}","model_version":"${model}","inference_time_ms":${100 + (index % 900)},"confidence_score":0.9,"input_size_bytes":2048,"prediction_class":"invoice"}`;
  if (events === 1) return event(0);
  return `[${Array.from({ length: events }, (_, index) => event(index)).join(',')}]`;
}
