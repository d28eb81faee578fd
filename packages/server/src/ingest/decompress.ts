import type { Transform } from 'node:stream';
import { createBrotliDecompress, createGunzip, createInflate } from 'node:zlib';
import { HttpError } from './httpError.ts';
import { Slots } from './slots.ts';

const decompressors: Readonly<Record<string, () => Transform>> = {
  gzip: () => createGunzip(),
  deflate: () => createInflate(),
  br: () => createBrotliDecompress(),
};

/** Many bombs at once would take as many times the largest body. Each takes about a tenth of a second. */
const decompressing = new Slots(2);

/**
 * Decompresses a body, bounded: what would grow beyond `maxBytes` is refused while it grows, so that a bomb costs no
 * more memory than an honest body.
 *
 * @param grown hears of every piece before it is kept; what it throws ends the work
 * @throws HttpError 400 for an empty or broken body, 413, 415
 */
export async function decompress(
  body: readonly Buffer[],
  encoding: string | undefined,
  maxBytes: number,
  grown: (bytes: number) => void,
): Promise<Buffer> {
  if (body.length === 0) {
    throw new HttpError(400, 'invalid_json', 'the body must be JSON, got an empty body');
  }
  const name = encoding?.trim().toLowerCase() ?? 'identity';
  if (name === 'identity' || name === '') return body.length === 1 ? body[0]! : Buffer.concat(body);
  if (!Object.hasOwn(decompressors, name)) {
    throw new HttpError(
      415,
      'unsupported_encoding',
      `content-encoding must be gzip, deflate or br, got ${name}`,
    );
  }
  return decompressing.run(() => collect(decompressors[name]!(), name, body, maxBytes, grown));
}

function collect(
  stream: Transform,
  name: string,
  body: readonly Buffer[],
  maxBytes: number,
  grown: (bytes: number) => void,
): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const pieces: Buffer[] = [];
    let length = 0;
    stream.on('data', (piece: Buffer) => {
      length += piece.length;
      try {
        if (length > maxBytes) {
          throw new HttpError(
            413,
            'body_too_large',
            `the decompressed body must not exceed ${maxBytes} bytes (NOWCAST_MAX_DECOMPRESSED_BYTES): send smaller batches`,
          );
        }
        grown(piece.length);
        pieces.push(piece);
      } catch (error) {
        stream.destroy();
        reject(error);
      }
    });
    stream.once('end', () => resolve(pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces)));
    stream.once('error', (error) =>
      reject(new HttpError(400, 'invalid_encoding', `the body is no valid ${name}: ${error.message}`)),
    );
    for (const piece of body) stream.write(piece);
    stream.end();
  });
}
