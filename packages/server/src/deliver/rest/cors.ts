/**
 * What a browser must be told so that supabase-js works from another origin: the request headers it sends, and
 * `Content-Range`, without which `count` is null. The server registers CORS once, for all doors, with these.
 */
export const corsHeaders: {
  readonly methods: string[];
  readonly allowedHeaders: string[];
  readonly exposedHeaders: string[];
} = {
  methods: ['GET', 'HEAD', 'POST', 'PATCH', 'PUT', 'DELETE', 'OPTIONS'],
  allowedHeaders: [
    'authorization',
    'apikey',
    'x-client-info',
    'content-type',
    'content-encoding',
    'accept',
    'accept-profile',
    'content-profile',
    'prefer',
    'range',
    'range-unit',
    'x-retry-count',
    'idempotency-key',
  ],
  exposedHeaders: [
    'content-range',
    'content-location',
    'location',
    'preference-applied',
    'proxy-status',
    'retry-after',
    'x-request-id',
  ],
};
