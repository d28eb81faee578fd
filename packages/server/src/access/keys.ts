import { hash, randomBytes } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';

/** What a key may do: write events; read what is published; everything. */
export type KeyScope = (typeof keyScopes)[number];
export const keyScopes = ['ingest', 'anon', 'service'] as const;

/** A leaked key is told by its beginning: secret scanners and people see what it is. */
const beginnings: Record<KeyScope, string> = { ingest: 'nc_ing_', anon: 'nc_anon_', service: 'nc_svc_' };
/** 48 of them are shown as the prefix; 144 stay secret, and 128 are out of reach. */
const secretBits = 192;
const shownCharacters = 8;

/** A new random key and the beginning by which people tell it from others. */
export function makeKey(scope: KeyScope): { key: string; prefix: string } {
  const key = beginnings[scope] + randomBytes(secretBits / 8).toString('base64url');
  return { key, prefix: key.slice(0, beginnings[scope].length + shownCharacters) };
}

/** SHA-256 in base64url. Enough for keys of 128 random bits and more: there is nothing to guess from a word list. */
export function hashKey(key: string): string {
  return hash('sha256', key, 'base64url');
}

/** The key of a request: `Authorization: Bearer K` or `apikey: K`. Never from the URL: URLs end up in logs. */
export function keyOf(headers: IncomingHttpHeaders): string | undefined {
  const bearer = /^Bearer\s+(\S+)\s*$/i.exec(headers.authorization ?? '')?.[1];
  if (bearer !== undefined) return bearer;
  const apikey = headers.apikey;
  return typeof apikey === 'string' ? apikey : undefined;
}
