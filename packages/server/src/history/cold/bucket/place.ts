import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { ColdPlace } from '../place.ts';
import { scratchDirectoryIn } from '../scratchDirectory.ts';
import { type BucketAddress, bucketAddress, type S3Environment } from './address.ts';
import { BucketClient } from './client.ts';

/** What one PUT may carry. A day of 300 million events is smaller. */
const maxObjectBytes = 5 * 2 ** 30;

/** The archive in a bucket of a server that speaks S3's protocol. */
export class BucketPlace implements ColdPlace {
  readonly #address: BucketAddress;
  readonly #client: BucketClient;

  private constructor(address: BucketAddress) {
    this.#address = address;
    this.#client = new BucketClient(address);
  }

  /** @throws StartupError when the URL or the credentials break a rule */
  static of(coldUrl: string, environment: S3Environment): BucketPlace {
    return new BucketPlace(bucketAddress(coldUrl, environment));
  }

  /** Under TMPDIR: there must be room for the rows of a day. */
  scratchDirectory(): Promise<string> {
    return scratchDirectoryIn(path.join(os.tmpdir(), 'nowcast-archive'));
  }

  async publish(from: string, file: string, sha256: string): Promise<void> {
    const { size } = await stat(from);
    if (size > maxObjectBytes)
      throw new Error(`${file} has ${size} bytes, and a bucket takes ${maxObjectBytes} in one piece`);
    await this.#client.put(this.#keyOf(file), { path: from, bytes: size, sha256 });
  }

  async sha256Of(file: string): Promise<string | undefined> {
    return await this.#client.get(this.#keyOf(file), async (body) => {
      const hash = createHash('sha256');
      await pipeline(body, hash);
      return hash.digest('hex');
    });
  }

  exists(file: string): Promise<boolean> {
    return this.#client.exists(this.#keyOf(file));
  }

  async fetch(file: string, directory: string): Promise<string> {
    const local = path.join(directory, file);
    const found = await this.#client.get(this.#keyOf(file), async (body) => {
      await pipeline(body, createWriteStream(local));
      return true;
    });
    if (found === undefined) throw new Error(`${this.nameOf(file)} is not there`);
    return local;
  }

  async remove(file: string): Promise<void> {
    await this.#client.remove(this.#keyOf(file));
  }

  nameOf(file: string): string {
    return `s3://${this.#address.bucket}/${this.#keyOf(file)}`;
  }

  #keyOf(file: string): string {
    return this.#address.prefix + file;
  }
}
