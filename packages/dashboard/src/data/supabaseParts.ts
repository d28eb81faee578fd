/**
 * Stands in for the parts of supabase-js that this page has no use for: it signs nobody in, stores no files and calls
 * no functions, and they would be a fifth of its JavaScript. vite.config.ts puts it in their place.
 */

/** Never made: the client gets `accessToken`, which is supabase-js' way of leaving sign-in to others. */
export class AuthClient {}

/** Made with every client, and never called. */
export class StorageClient {}

export class FunctionsClient {}

export class StorageApiError extends Error {}
export class FunctionsError extends Error {}
export class FunctionsFetchError extends Error {}
export class FunctionsHttpError extends Error {}
export class FunctionsRelayError extends Error {}
export const FunctionRegion = {};
