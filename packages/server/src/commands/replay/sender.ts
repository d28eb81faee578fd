import { StartupError } from '../../startupError.ts';
import type { TimedEvent } from './rows.ts';

const maxBatchEvents = 1_000;
/** Batches under way at once; the next one waits for a place. */
const maxInFlight = 4;
const maxAttempts = 10;

interface BatchAnswer {
  readonly accepted: number;
  readonly rejected: number;
  readonly errors: readonly { readonly message: string }[];
}

/** Posts events in batches, a bounded number at once, and tries again what a busy server turns away. */
export class Sender {
  readonly #url: string;
  readonly #headers: Record<string, string>;
  readonly #inFlight = new Set<Promise<void>>();
  #batch: TimedEvent[] = [];
  #failure: Error | undefined;
  accepted = 0;
  rejected = 0;
  firstRejection: string | undefined;

  constructor(url: string, key: string | undefined) {
    this.#url = url.replace(/\/$/, '');
    this.#headers = {
      'content-type': 'application/json',
      ...(key === undefined ? {} : { authorization: `Bearer ${key}` }),
    };
  }

  get done(): number {
    return this.accepted + this.rejected;
  }

  async add(event: TimedEvent): Promise<void> {
    this.#batch.push(event);
    if (this.#batch.length >= maxBatchEvents) await this.flush();
  }

  /** Sends what has gathered; waits only while too much is under way. */
  async flush(): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#batch.length === 0) return;
    const batch = this.#batch;
    this.#batch = [];
    while (this.#inFlight.size >= maxInFlight) await Promise.race(this.#inFlight);
    const sending = this.#send(batch)
      .catch((error: Error) => {
        this.#failure ??= error;
      })
      .finally(() => this.#inFlight.delete(sending));
    this.#inFlight.add(sending);
  }

  /** Resolves when everything was answered. */
  async drain(): Promise<void> {
    await this.flush();
    await Promise.all(this.#inFlight);
    if (this.#failure !== undefined) throw this.#failure;
  }

  async #send(batch: readonly TimedEvent[]): Promise<void> {
    const body = JSON.stringify(batch);
    for (let attempt = 1; ; attempt += 1) {
      const response = await fetch(`${this.#url}/telemetry/inference/batch`, {
        method: 'POST',
        headers: this.#headers,
        body,
      });
      if (response.ok) {
        const answer = (await response.json()) as BatchAnswer;
        this.accepted += answer.accepted;
        this.rejected += answer.rejected;
        this.firstRejection ??= answer.errors[0]?.message;
        return;
      }
      if (response.status !== 503 || attempt === maxAttempts) {
        throw new StartupError(`Nowcast answered ${response.status}: ${await response.text()}`, 1);
      }
      const retryAfterSeconds = Number(response.headers.get('retry-after') ?? 1);
      await new Promise((resolve) => setTimeout(resolve, retryAfterSeconds * 1000));
    }
  }
}

/** @throws StartupError with one sentence when nothing answers there */
export async function assertReachable(url: string): Promise<void> {
  try {
    await fetch(`${url.replace(/\/$/, '')}/ready`);
  } catch (error) {
    throw new StartupError(`No Nowcast answers at ${url}: start it first (npm start).`, 1, { cause: error });
  }
}
