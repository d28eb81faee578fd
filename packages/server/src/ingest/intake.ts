import {
  CopyEncoder,
  dayOf,
  eventFields,
  type FieldError,
  type ValidationLimits,
  type ValidEvent,
  validateEvent,
} from '@nowcast/protocol';
import type { Ledger, Loss } from '../health/ledger.ts';
import { priceOf } from '../process/price.ts';
import type { Settings } from '../settings.ts';
import type { IdPool } from '../store/idPool.ts';
import type { Partitions } from '../store/partitions.ts';
import {
  type BatchId,
  RefusedRowsError,
  type StoredEvent,
  UnknownOutcomeError,
  type Write,
  type WriteOutcome,
} from '../store/request.ts';
import type { Writer } from '../store/writer.ts';
import { HttpError } from './httpError.ts';
import type { HeldBytes } from './receivedBody.ts';
import type { Sampler } from './sampling/sampler.ts';

const microsPerDay = 86_400_000_000;
/** Clocks of senders may run ahead; a day is also what partitions stand ready for. */
const maxAheadMicros = microsPerDay;

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

/** What one event may hold beyond its named fields. */
type EventLimits = Pick<Settings, 'maxMetadataBytes' | 'maxJsonDepth' | 'maxJsonKeys'>;

export interface IntakeOptions {
  readonly writer: Writer;
  readonly ids: IdPool;
  readonly partitions: Partitions;
  readonly hotDays: number;
  readonly limits: EventLimits;
  /** Hears what became of events, beside what the writer counts with the rows. */
  readonly ledger: Pick<Ledger, 'count' | 'countBatch' | 'countedWithRows'>;
  /** Decides which events become rows; undefined: all do. */
  readonly sampler?: Pick<Sampler, 'weigh'> | undefined;
}

/** What is known of a request beside its events. */
export interface Envelope {
  /** Who sent it, for the accounting of losses. */
  readonly sender: string;
  readonly batch?: BatchId | undefined;
  /** What a repeat of the batch will be answered. */
  readonly answer?: (accepted: number, rejected: readonly RejectedEvent[]) => unknown;
  /** By index: events that could not even be read, and why. */
  readonly unreadable?: ReadonlyMap<number, string>;
  /** What the sender dropped before, by reason: counted once with the batch. */
  readonly dropped?: ReadonlyMap<string, number>;
  /** Called when the writer counts the events among what waits, so that the body need not be counted any more. */
  readonly onHandedOver?: () => void;
  /** Share of its events other than errors that the sender kept: each then stands for more. */
  readonly sampleRate?: number | undefined;
}

/** Turns what a door received into committed rows: validation, ids, COPY lines, the writer. */
export class Intake {
  readonly #options: IntakeOptions;
  readonly #encoder = new CopyEncoder();

  constructor(options: IntakeOptions) {
    this.#options = options;
  }

  /** Throws OverloadedError when a body of this size could not be taken now. */
  assertRoomFor(bytes: number): void {
    this.#options.writer.assertRoomFor(bytes);
  }

  /** A single event has to wait before the writer counts it among what waits. */
  get waitsForIds(): boolean {
    return !this.#options.ids.has(1);
  }

  /**
   * Stores one event; resolves with its warnings when it is committed. The hot path: nothing is allocated that one event
   * does not need.
   *
   * @param held what is counted of its body, released when the writer counts it
   * @throws HttpError when the event breaks a rule; otherwise as `take`
   */
  async takeOne(input: unknown, sender: string, held?: HeldBytes): Promise<readonly string[] | undefined> {
    const { ids, partitions, ledger, sampler } = this.#options;
    while (!ids.has(1)) await ids.reserve(1);
    const validation = validateEvent(input, this.#limits());
    if (validation.error !== undefined) {
      ledger.count(sender, 'rejected', rejectionReason(validation.error), 1);
      throw new HttpError(400, 'invalid_event', validation.error.message, validation.error.field);
    }
    const { event, warnings } = validation;
    addPrice(event);
    const id = ids.take();
    this.#encoder.clear();
    let weight: number | null = null;
    if (sampler === undefined) {
      this.#encoder.add(id, event);
    } else {
      weight = rowWeight(sampler.weigh(event, id), event, undefined);
      if (weight === 0) {
        const losses = [{ sender, fate: 'sampled_out', reason: '', events: 1 } as const];
        held?.release();
        await this.#write({ ...noRows, unkept: [event], sender, losses });
        return warnings;
      }
      this.#encoder.add(id, event, weight);
    }
    const copyData = this.#encoder.take();
    const rows = [{ id, event, weight }];
    if (!partitions.has(dayOf(event.timestampMicros))) await this.#ensurePartitions(rows);
    held?.release();
    await this.#write({
      rows,
      copyData,
      weighed: sampler !== undefined,
      unkept: noEvents,
      batch: undefined,
      answer: undefined,
      sender,
      losses: none,
    });
    return warnings;
  }

  /**
   * Stores the good events and names the bad ones. Resolves when the good ones are committed.
   *
   * @throws OverloadedError nothing was stored
   * @throws RefusedRowsError PostgreSQL refused the rows
   */
  async take(inputs: readonly unknown[], envelope: Envelope): Promise<IntakeResult> {
    const { ids, sampler } = this.#options;
    const { sender, batch, unreadable, sampleRate } = envelope;
    const weighed = sampler !== undefined || sampleRate !== undefined;
    const limits = this.#limits();
    // Others may take what was reserved before this one goes on.
    while (!ids.has(inputs.length)) await ids.reserve(inputs.length);
    // From here to the end of the loop nothing waits: the encoder is shared.
    this.#encoder.clear();
    const rows: StoredEvent[] = [];
    const unkept: ValidEvent[] = [];
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
      addPrice(event);
      const id = ids.take();
      if (weighed) {
        const weight = rowWeight(sampler?.weigh(event, id) ?? 1, event, sampleRate);
        if (weight === 0) {
          unkept.push(event);
        } else {
          rows.push({ id, event, weight });
          this.#encoder.add(id, event, weight);
        }
      } else {
        rows.push({ id, event, weight: null });
        this.#encoder.add(id, event);
      }
      if (validation.warnings !== undefined) {
        warnings ??= [];
        for (const warning of validation.warnings) if (!warnings.includes(warning)) warnings.push(warning);
      }
    }
    const accepted = rows.length + unkept.length;
    const losses = lossesOf(envelope, rejected, unkept.length);
    const answer = envelope.answer?.(accepted, rejected);
    let outcome: WriteOutcome = { kind: 'committed' };
    if (accepted > 0) {
      const copyData = this.#encoder.take();
      await this.#ensurePartitions(rows);
      envelope.onHandedOver?.();
      outcome = await this.#write({ rows, copyData, weighed, unkept, batch, answer, sender, losses });
    } else {
      await this.#countAlone(envelope, answer, losses);
    }
    return { accepted, rejected, warnings: warnings ?? [], outcome };
  }

  /**
   * Checks a synthetic event like any other and sends it the same way, of which it leaves a row in the feed alone: no
   * event, no summary, no count.
   *
   * @throws as `takeOne`
   */
  async takeCanary(input: unknown, id: string): Promise<void> {
    const { partitions, writer } = this.#options;
    const validation = validateEvent(input, this.#limits());
    if (validation.error !== undefined) throw new HttpError(400, 'invalid_event', validation.error.message);
    const day = dayOf(validation.event.timestampMicros);
    if (!partitions.has(day)) await partitions.ensure(day);
    await writer.write({
      ...noRows,
      weighed: false,
      unkept: noEvents,
      sender: '',
      losses: none,
      canary: { id, day },
    });
  }

  async #write(write: Write): Promise<WriteOutcome> {
    const { ledger, writer } = this.#options;
    const { sender, losses } = write;
    const events = write.rows.length + write.unkept.length;
    try {
      const outcome = await writer.write(write);
      if (outcome.kind === 'duplicate') {
        ledger.count(sender, 'duplicate', '', events);
        for (const loss of losses)
          if (loss.fate === 'rejected') ledger.count(sender, loss.fate, loss.reason, loss.events);
      } else {
        ledger.countedWithRows(losses);
      }
      return outcome;
    } catch (error) {
      if (error instanceof RefusedRowsError) ledger.count(sender, 'rejected', 'refused_by_database', events);
      else
        ledger.count(
          sender,
          'refused',
          error instanceof UnknownOutcomeError ? 'undecided' : 'overloaded',
          events,
        );
      throw error;
    }
  }

  /** A batch of which nothing is stored. With an id, its report counts once however often it is sent. */
  async #countAlone({ batch }: Envelope, answer: unknown, losses: readonly Loss[]): Promise<void> {
    const { ledger } = this.#options;
    const reported = losses.filter(({ fate }) => fate === 'dropped');
    if (batch === undefined || reported.length === 0) {
      for (const { sender, fate, reason, events } of losses) ledger.count(sender, fate, reason, events);
      return;
    }
    for (const { sender, fate, reason, events } of losses)
      if (fate === 'rejected') ledger.count(sender, fate, reason, events);
    await ledger.countBatch(batch, answer, reported);
  }

  #limits(): ValidationLimits {
    const { hotDays, limits } = this.#options;
    const nowMicros = Date.now() * 1000;
    return {
      nowMicros,
      oldestMicros: nowMicros - hotDays * microsPerDay,
      newestMicros: nowMicros + maxAheadMicros,
      maxMetadataBytes: limits.maxMetadataBytes,
      maxMetadataDepth: limits.maxJsonDepth,
      maxMetadataKeys: limits.maxJsonKeys,
    };
  }

  async #ensurePartitions(rows: readonly StoredEvent[]): Promise<void> {
    const { partitions } = this.#options;
    for (const row of rows) {
      const day = dayOf(row.event.timestampMicros);
      if (!partitions.has(day)) await partitions.ensure(day);
    }
  }
}

const none: readonly Loss[] = [];
const noEvents: readonly ValidEvent[] = [];
const noRows = {
  rows: [],
  copyData: new Uint8Array(),
  weighed: true,
  batch: undefined,
  answer: undefined,
} as const;

/**
 * What the row of an event stands for where its sender samples too; 0: no row, null: itself alone.
 *
 * @param kept what this server's sampling says
 */
function rowWeight(kept: number, event: ValidEvent, senderRate: number | undefined): number | null {
  const weight = senderRate === undefined || event.is_error ? kept : kept / senderRate;
  return weight === 1 ? null : weight;
}

/** What a call with tokens costs by its provider's list, where its sender does not say. */
function addPrice(event: ValidEvent): void {
  if (event.cost_usd === null && (event.input_tokens !== null || event.output_tokens !== null))
    event.cost_usd = priceOf(event);
}

/** The field that breaks a rule: a bounded set of names, unlike what the caller wrote. */
function rejectionReason({ field }: FieldError): string {
  return Object.hasOwn(eventFields, field) ? field : 'unreadable';
}

function lossesOf(
  { sender, dropped }: Envelope,
  rejected: readonly RejectedEvent[],
  sampledOut: number,
): readonly Loss[] {
  if (rejected.length === 0 && dropped === undefined && sampledOut === 0) return none;
  const byReason = new Map<string, number>();
  for (const error of rejected) {
    const reason = rejectionReason(error);
    byReason.set(reason, (byReason.get(reason) ?? 0) + 1);
  }
  const losses: Loss[] = [];
  for (const [reason, events] of byReason) losses.push({ sender, fate: 'rejected', reason, events });
  if (sampledOut > 0) losses.push({ sender, fate: 'sampled_out', reason: '', events: sampledOut });
  for (const [reason, events] of dropped ?? []) losses.push({ sender, fate: 'dropped', reason, events });
  return losses;
}
