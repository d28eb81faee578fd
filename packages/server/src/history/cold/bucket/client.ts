import { createReadStream } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import { setTimeout as delay } from 'node:timers/promises';
import { AwsV4Signer } from 'aws4fetch';
import type { BucketAddress } from './address.ts';

/** A server that says nothing for this long is given up. */
const silenceTimeoutMs = 60_000;
const attempts = 4;
const firstPauseMs = 250;
const maxErrorBytes = 64 * 1024;
/** SHA-256 of nothing, which requests without a body sign. */
const emptySha256 = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';

type Method = 'GET' | 'HEAD' | 'PUT' | 'DELETE';

interface UploadedFile {
  readonly path: string;
  readonly bytes: number;
  readonly sha256: string;
}

/** What the bucket's server refused, in its words. Never holds a credential. */
export class BucketError extends Error {
  override name = 'BucketError';
  readonly statusCode: number;
  constructor(message: string, statusCode: number) {
    super(message);
    this.statusCode = statusCode;
  }
}

/**
 * The four requests of S3 that an archive needs (signature version 4 by aws4fetch), on Node's own HTTP so that a file
 * is sent and read as a stream. What fails on the way or with 5xx or 429 is tried again; everything here may be.
 */
export class BucketClient {
  readonly #address: BucketAddress;
  readonly #pauseMs: number;

  constructor(address: BucketAddress, pauseMs = firstPauseMs) {
    this.#address = address;
    this.#pauseMs = pauseMs;
  }

  /** The server checks the checksum, which is signed, before it stores anything. */
  async put(key: string, file: UploadedFile): Promise<void> {
    await this.#tryOften('PUT', key, drain, file);
  }

  /** Undefined when there is no such object. Read completely by `use`, and again when that fails on the way. */
  async get<Result>(
    key: string,
    use: (body: http.IncomingMessage) => Promise<Result>,
  ): Promise<Result | undefined> {
    return await this.#unlessMissing(this.#tryOften('GET', key, use));
  }

  async exists(key: string): Promise<boolean> {
    const found = this.#tryOften('HEAD', key, async (body) => {
      await drain(body);
      return true;
    });
    return (await this.#unlessMissing(found)) ?? false;
  }

  async remove(key: string): Promise<void> {
    await this.#unlessMissing(this.#tryOften('DELETE', key, drain));
  }

  async #unlessMissing<Result>(result: Promise<Result>): Promise<Result | undefined> {
    try {
      return await result;
    } catch (error) {
      if (error instanceof BucketError && error.statusCode === 404) return undefined;
      throw error;
    }
  }

  async #tryOften<Result>(
    method: Method,
    key: string,
    use: (body: http.IncomingMessage) => Promise<Result>,
    file?: UploadedFile,
  ): Promise<Result> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        const response = await this.#send(method, key, file);
        if (response.statusCode! < 300) return await use(response);
        throw new BucketError(await refusalOf(method, key, response), response.statusCode!);
      } catch (error) {
        const isFinal = error instanceof BucketError && error.statusCode < 500 && error.statusCode !== 429;
        if (isFinal || attempt === attempts) throw error;
      }
      await delay(this.#pauseMs * 2 ** (attempt - 1) * (0.5 + Math.random() / 2));
    }
  }

  async #send(method: Method, key: string, file: UploadedFile | undefined): Promise<http.IncomingMessage> {
    const { baseUrl, credentials, region } = this.#address;
    const target = baseUrl + key.split('/').map(encodeURIComponent).join('/');
    const { accessKeyId, secretAccessKey, sessionToken } = credentials;
    const signed = await new AwsV4Signer({
      method,
      url: target,
      headers: {
        'x-amz-content-sha256': file?.sha256 ?? emptySha256,
        ...(file === undefined ? {} : { 'content-length': String(file.bytes) }),
      },
      accessKeyId,
      secretAccessKey,
      ...(sessionToken === undefined ? {} : { sessionToken }),
      service: 's3',
      region,
    }).sign();
    const headers: Record<string, string> = {};
    signed.headers.forEach((value, name) => {
      headers[name] = value;
    });
    if (file !== undefined) headers['content-length'] = String(file.bytes);
    return await new Promise((resolve, reject) => {
      const request = (signed.url.protocol === 'http:' ? http : https).request(signed.url, {
        method,
        headers,
      });
      request.setTimeout(silenceTimeoutMs, () =>
        request.destroy(new Error(`${signed.url.host} has not answered for ${silenceTimeoutMs / 1_000} s`)),
      );
      request.once('response', resolve).once('error', reject);
      if (file === undefined) {
        request.end();
        return;
      }
      const body = createReadStream(file.path);
      body.once('error', (error) => request.destroy(error));
      body.pipe(request);
    });
  }
}

async function drain(body: http.IncomingMessage): Promise<void> {
  for await (const _chunk of body);
}

/** The sentence of the server's XML, where it has one. */
async function refusalOf(method: Method, key: string, response: http.IncomingMessage): Promise<string> {
  let text = '';
  response.setEncoding('utf8');
  for await (const chunk of response) if (text.length < maxErrorBytes) text += chunk;
  const [, code] = /<Code>([^<]*)<\/Code>/.exec(text) ?? [];
  const [, message] = /<Message>([^<]*)<\/Message>/.exec(text) ?? [];
  const said = [code, message].filter((part) => part !== undefined && part !== '').join(': ');
  return `the bucket's server answered ${response.statusCode} to ${method} ${key}${said === '' ? '' : ` (${said})`}`;
}
