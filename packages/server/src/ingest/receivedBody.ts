import type { IncomingMessage, ServerResponse } from 'node:http';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { OverloadedError } from '../store/request.ts';
import { decompress } from './decompress.ts';
import { HttpError } from './httpError.ts';

/** What one request holds of the budget. */
export class HeldBytes {
  readonly #budget: BodyBudget;
  #bytes = 0;

  constructor(budget: BodyBudget) {
    this.#budget = budget;
  }

  /** @throws OverloadedError when all requests together would hold too much */
  add(bytes: number): void {
    this.#budget.take(bytes, this.#bytes);
    this.#bytes += bytes;
  }

  /** Of everything that was added, once. */
  release(): void {
    this.#budget.give(this.#bytes);
    this.#bytes = 0;
  }
}

/**
 * Bodies that are being received, decompressed or read, all together: connections are many, and each may hold as much as
 * the largest body. A request that is alone always fits, as its own limits bound it.
 */
export class BodyBudget {
  readonly #maxBytes: number;
  #bytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** @param own what the request holds already */
  take(bytes: number, own: number): void {
    if (this.#bytes > own && this.#bytes + bytes > this.#maxBytes) {
      throw new OverloadedError('too much is being received at once (NOWCAST_MAX_RECEIVING_BYTES)');
    }
    this.#bytes += bytes;
  }

  give(bytes: number): void {
    this.#bytes -= bytes;
  }

  /** Released when the request is answered or its connection ends, if not before. */
  hold(response: ServerResponse): HeldBytes {
    const held = new HeldBytes(this);
    response.once('close', () => held.release());
    return held;
  }
}

/** Leaves bodies to the handler, whatever their type: a missing or odd content type is no reason to lose telemetry. */
export function leaveBodies(door: FastifyInstance): void {
  door.removeAllContentTypeParsers();
  door.addContentTypeParser('*', (_request, payload, done) => done(null, payload));
  door.addHook('onRequest', (request, _reply, done) => {
    // One that is no media type at all is refused by the framework before any parser sees it.
    const { headers } = request.raw;
    if (!mediaType.test(headers['content-type'] ?? '')) headers['content-type'] = 'application/octet-stream';
    done();
  });
}

const mediaType = /^[\w!#$&^.+-]+\/[\w!#$&^.+-]+\s*(;|$)/;

/** For the doors whose limit is `NOWCAST_MAX_BODY_BYTES`. */
export const bodyLimitWords = ' (NOWCAST_MAX_BODY_BYTES): send smaller batches';

/** A body as it came, counted until it is released. */
export class ReceivedBody {
  readonly #held: HeldBytes;
  /** As they came: a compressed body is never put together. */
  #pieces: readonly Buffer[];

  constructor(pieces: readonly Buffer[], held: HeldBytes) {
    this.#pieces = pieces;
    this.#held = held;
  }

  /**
   * Receives what `leaveBodies` left.
   *
   * @param limitWords what the answer to a larger one says after the number, such as the setting to change
   * @throws HttpError 413 beyond `maxBytes`, OverloadedError when all requests together hold too much
   */
  static async of(
    { raw, headers }: FastifyRequest,
    reply: FastifyReply,
    budget: BodyBudget,
    maxBytes: number,
    limitWords = '',
  ): Promise<ReceivedBody> {
    const held = budget.hold(reply.raw);
    const tooLarge = () =>
      new HttpError(413, 'body_too_large', `the body must not exceed ${maxBytes} bytes${limitWords}`);
    if (Number(headers['content-length']) > maxBytes) throw tooLarge();
    return new ReceivedBody(await receive(raw, held, maxBytes, tooLarge), held);
  }

  get isEmpty(): boolean {
    return this.#pieces.length === 0;
  }

  get bytes(): Buffer {
    return this.#pieces.length === 1 ? this.#pieces[0]! : Buffer.concat(this.#pieces);
  }

  /** Both forms are held until the release. @throws HttpError, OverloadedError */
  decompressed(encoding: string | undefined, maxBytes: number): Promise<Buffer> {
    return decompress(this.#pieces, encoding, maxBytes, (bytes) => this.#held.add(bytes));
  }

  /** What was read of it is counted elsewhere from now on. */
  release(): void {
    this.#pieces = [];
    this.#held.release();
  }
}

function receive(
  request: IncomingMessage,
  held: HeldBytes,
  maxBytes: number,
  tooLarge: () => HttpError,
): Promise<Buffer[]> {
  return new Promise((resolve, reject) => {
    const pieces: Buffer[] = [];
    let length = 0;
    const onData = (piece: Buffer) => {
      length += piece.length;
      try {
        if (length > maxBytes) throw tooLarge();
        held.add(piece.length);
        pieces.push(piece);
      } catch (error) {
        // The rest is taken and thrown away, so that the answer arrives.
        request.off('data', onData).resume();
        pieces.length = 0;
        held.release();
        reject(error);
      }
    };
    request.on('data', onData);
    request.once('end', () => resolve(pieces));
    request.once('error', (error) => reject(brokenOff(error)));
    request.once('close', () => {
      if (!request.complete) reject(brokenOff(new Error('the connection was closed')));
    });
  });
}

/** Nobody hears it: its sender is gone, and still has the events. */
function brokenOff(cause: Error): Error {
  return Object.assign(new Error('the body broke off', { cause }), { statusCode: 400 });
}
