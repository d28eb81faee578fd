import { CopyEncoder, dayOf, type FieldError, type ValidationLimits, validateEvent } from '@nowcast/protocol';
import type { Fate } from '../health/metrics.ts';
import type { IdPool } from '../store/idPool.ts';
import type { Partitions } from '../store/partitions.ts';
import type { BatchId, StoredEvent, Write, WriteOutcome } from '../store/request.ts';
import type { Writer } from '../store/writer.ts';
import { HttpError } from './httpError.ts';

const microsPerDay = 86_400_000_000;
/** Clocks of senders may run ahead; a day is also what partitions stand ready for. */
const maxAheadMicros = microsPerDay;
const maxMetadataBytes = 65_536;
const maxMetadataDepth = 16;

/** An event that was refused, by its place in the batch. */
export interface RejectedEvent extends FieldError {
  readonly index: number;
}

export interface IntakeResult {
  readonly accepted: number;
  readonly rejected: readonly RejectedEvent[];
  readonly warnings: readonly string[];
  readonly outcome: WriteOutcome;
}

/** Turns what a door received into committed rows: validation, ids, COPY lines, the writer. */
export class Intake {
  readonly #writer: Writer;
  readonly #ids: IdPool;
  readonly #partitions: Partitions;
  readonly #hotDays: number;
  readonly #encoder = new CopyEncoder();
  readonly #count: (fate: Fate, events: number) => void;
  /** @param count hears what became of events */
  constructor(
    writer: Writer,
    ids: IdPool,
    partitions: Partitions,
    hotDays: number,
    count: (fate: Fate, events: number) => void = () => undefined,
  ) {
    this.#count = count;
    this.#writer = writer;
    this.#ids = ids;
    this.#partitions = partitions;
    this.#hotDays = hotDays;
  }

  /** Throws OverloadedError when a body of this size could not be taken now. */
  assertRoomFor(bytes: number): void {
    this.#writer.assertRoomFor(bytes);
  }

  /**
   * Stores one event; resolves with its warnings when it is committed. The hot path: nothing is allocated that one event
   * does not need.
   *
   * @throws HttpError when the event breaks a rule; otherwise as `take`
   */
  async takeOne(input: unknown): Promise<readonly string[] | undefined> {
    this.#writer.assertRoomFor(0);
    while (!this.#ids.has(1)) await this.#ids.reserve(1);
    const validation = validateEvent(input, this.#limits());
    if (validation.error !== undefined) {
      this.#count('rejected', 1);
      throw new HttpError(400, 'invalid_event', validation.error.message, validation.error.field);
    }
    const { event, warnings } = validation;
    const id = this.#ids.take();
    this.#encoder.clear();
    this.#encoder.add(id, event);
    const copyData = this.#encoder.take();
    const rows = [{ id, event }];
    if (!this.#partitions.has(dayOf(event.timestampMicros))) await this.#ensurePartitions(rows);
    await this.#write({ rows, copyData, batch: undefined, answer: undefined });
    return warnings;
  }

  /**
   * Stores the good events and names the bad ones. Resolves when the good ones are committed.
   *
   * @param answer what a repeat of the batch will be answered
   * @param unreadable by index: events that could not even be read, and why
   * @throws OverloadedError nothing was stored
   * @throws RefusedRowsError PostgreSQL refused the rows
   */
  async take(
    inputs: readonly unknown[],
    batch?: BatchId,
    answer?: (accepted: number, rejected: readonly RejectedEvent[]) => unknown,
    unreadable?: ReadonlyMap<number, string>,
  ): Promise<IntakeResult> {
    const limits = this.#limits();
    // Others may take what was reserved before this one goes on.
    while (!this.#ids.has(inputs.length)) await this.#ids.reserve(inputs.length);
    // From here to the end of the loop nothing waits: the encoder is shared.
    this.#encoder.clear();
    const rows: StoredEvent[] = [];
    const rejected: RejectedEvent[] = [];
    let warnings: string[] | undefined;
    for (let index = 0; index < inputs.length; index += 1) {
      const unread = unreadable?.get(index);
      if (unread !== undefined) {
        rejected.push({ index, field: '', message: unread });
        continue;
      }
      const validation = validateEvent(inputs[index], limits);
      if (validation.error !== undefined) {
        rejected.push({ index, ...validation.error });
        continue;
      }
      const { event } = validation;
      const id = this.#ids.take();
      rows.push({ id, event });
      this.#encoder.add(id, event);
      if (validation.warnings !== undefined) {
        warnings ??= [];
        for (const warning of validation.warnings) if (!warnings.includes(warning)) warnings.push(warning);
      }
    }
    let outcome: WriteOutcome = { kind: 'committed' };
    if (rows.length > 0) {
      const request = {
        rows,
        copyData: this.#encoder.take(),
        batch,
        answer: answer?.(rows.length, rejected),
      };
      await this.#ensurePartitions(rows);
      outcome = await this.#write(request);
    }
    this.#count('rejected', rejected.length);
    return { accepted: rows.length, rejected, warnings: warnings ?? [], outcome };
  }

  async #write(write: Write): Promise<WriteOutcome> {
    try {
      const outcome = await this.#writer.write(write);
      this.#count(outcome.kind === 'committed' ? 'stored' : 'duplicate', write.rows.length);
      return outcome;
    } catch (error) {
      this.#count('refused', write.rows.length);
      throw error;
    }
  }

  #limits(): ValidationLimits {
    const nowMicros = Date.now() * 1000;
    return {
      nowMicros,
      oldestMicros: nowMicros - this.#hotDays * microsPerDay,
      newestMicros: nowMicros + maxAheadMicros,
      maxMetadataBytes,
      maxMetadataDepth,
    };
  }

  async #ensurePartitions(rows: readonly StoredEvent[]): Promise<void> {
    for (const row of rows) {
      const day = dayOf(row.event.timestampMicros);
      if (!this.#partitions.has(day)) await this.#partitions.ensure(day);
    }
  }
}
