import type { S3Environment } from './bucket/address.ts';
import { BucketPlace } from './bucket/place.ts';
import { DirectoryPlace } from './directory.ts';

/** Where the archive is: one Parquet file a day. */
export interface ColdPlace {
  /** Where this process keeps what is not finished; not made as yet. Whatever an earlier one left behind is removed. */
  scratchDirectory(): Promise<string>;
  /** Puts a finished file into its place; resolves when it is durable there. */
  publish(from: string, file: string, sha256: string): Promise<void>;
  /** SHA-256 of a file, as hex, read back from where it is; undefined when it is not there. */
  sha256Of(file: string): Promise<string | undefined>;
  exists(file: string): Promise<boolean>;
  /** A path under which the file can be read: its own, or a copy in the directory. @throws when it is not there */
  fetch(file: string, directory: string): Promise<string>;
  remove(file: string): Promise<void>;
  /** The file's name for people. */
  nameOf(file: string): string;
}

/**
 * The place that NOWCAST_COLD_URL names: `file:///directory` or `s3://bucket/prefix?endpoint=…&region=…`.
 *
 * @throws StartupError when it can be none
 */
export function coldPlace(coldUrl: string, environment: S3Environment = process.env): ColdPlace {
  return coldUrl.startsWith('s3:') ? BucketPlace.of(coldUrl, environment) : DirectoryPlace.of(coldUrl);
}
