import { StartupError } from '../../../startupError.ts';

/** The variables that every S3 tool reads. */
export type S3Environment = Readonly<Record<string, string | undefined>>;

export interface BucketAddress {
  readonly bucket: string;
  /** Ends with a slash unless it is empty. */
  readonly prefix: string;
  /** URL of the bucket, with a slash at its end. */
  readonly baseUrl: string;
  readonly region: string;
  readonly credentials: {
    readonly accessKeyId: string;
    readonly secretAccessKey: string;
    readonly sessionToken: string | undefined;
  };
}

const defaultRegion = 'us-east-1';
const parameters = ['endpoint', 'region'];

/**
 * Reads `s3://bucket/prefix?endpoint=https://host&region=name`. Without an endpoint, here or in AWS_ENDPOINT_URL_S3 or
 * AWS_ENDPOINT_URL, it is Amazon's. Credentials come from AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and, if set,
 * AWS_SESSION_TOKEN alone: a URL stands in process lists and logs.
 *
 * @throws StartupError
 */
export function bucketAddress(coldUrl: string, environment: S3Environment): BucketAddress {
  const url = new URL(coldUrl);
  const refuse = (rule: string): never => {
    throw new StartupError(
      `NOWCAST_COLD_URL ${rule}. It looks like s3://bucket/prefix?endpoint=https://storage.example.org&region=eu-central-1.`,
      2,
    );
  };
  if (url.username !== '' || url.password !== '')
    refuse('must not hold credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY instead');
  if (!/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(url.hostname))
    refuse(
      `must name a bucket of 3 to 63 lower-case letters, digits, dots and hyphens, not "${url.hostname}"`,
    );
  const strange = [...url.searchParams.keys()].find((name) => !parameters.includes(name));
  if (strange !== undefined) refuse(`has no parameter "${strange}", only ${parameters.join(' and ')}`);
  const endpoint =
    url.searchParams.get('endpoint') ?? environment.AWS_ENDPOINT_URL_S3 ?? environment.AWS_ENDPOINT_URL;
  if (endpoint !== undefined && !/^https?:\/\/[^/?#@]+\/?$/.test(endpoint))
    refuse('must have an endpoint that is a URL of https:// or http:// and a host, and nothing else');
  const region =
    url.searchParams.get('region') ??
    environment.AWS_REGION ??
    environment.AWS_DEFAULT_REGION ??
    defaultRegion;
  const { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey } = environment;
  if (!accessKeyId || !secretAccessKey) {
    throw new StartupError(
      'NOWCAST_COLD_URL names a bucket, which needs AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (and AWS_SESSION_TOKEN where keys are temporary).',
      2,
    );
  }
  const prefix = decodeURIComponent(url.pathname).replace(/^\/+|\/+$/g, '');
  return {
    bucket: url.hostname,
    prefix: prefix === '' ? '' : `${prefix}/`,
    baseUrl:
      endpoint === undefined
        ? `https://s3.${region}.amazonaws.com/${url.hostname}/`
        : `${endpoint.replace(/\/$/, '')}/${url.hostname}/`,
    region,
    credentials: { accessKeyId, secretAccessKey, sessionToken: environment.AWS_SESSION_TOKEN || undefined },
  };
}
