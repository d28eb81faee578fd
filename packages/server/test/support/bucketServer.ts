import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import S3rver from 's3rver';

export interface BucketServer {
  readonly endpoint: string;
  /** Where the server keeps the objects of a bucket, as `KEY._S3rver_object`. */
  readonly directory: string;
  close(): Promise<void>;
}

/** A server of S3's protocol on a free port, whose only key id is S3RVER. It does not check signatures. */
export async function startBucketServer(bucket: string): Promise<BucketServer> {
  const directory = await mkdtemp(path.join(os.tmpdir(), 'nowcast-bucket-'));
  const server = new S3rver({
    address: '127.0.0.1',
    port: 0,
    silent: true,
    directory,
    configureBuckets: [{ name: bucket, configs: [] }],
  });
  const { port } = await server.run();
  return {
    endpoint: `http://127.0.0.1:${port}`,
    directory: path.join(directory, bucket),
    async close() {
      await server.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

export const bucketCredentials = { AWS_ACCESS_KEY_ID: 'S3RVER', AWS_SECRET_ACCESS_KEY: 'S3RVER' };
