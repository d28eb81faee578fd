import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import type { Settings } from './settings.ts';

/** What a key may do: write events; read what is published; everything. */
export type KeyScope = 'ingest' | 'anon' | 'service';

/** Decides by key what a caller may do. Without any key set, every caller on loopback may do everything. */
export class Access {
  readonly #keys: { readonly hash: Buffer; readonly scope: KeyScope }[] = [];

  constructor(settings: Pick<Settings, 'ingestKey' | 'anonKey' | 'serviceKey'>) {
    this.#add(settings.ingestKey, 'ingest');
    this.#add(settings.anonKey, 'anon');
    this.#add(settings.serviceKey, 'service');
  }

  get open(): boolean {
    return this.#keys.length === 0;
  }

  /** @returns undefined when the key is missing or unknown */
  scopeOf(key: string | undefined): KeyScope | undefined {
    if (this.open) return 'service';
    if (key === undefined) return undefined;
    const hash = sha256(key);
    // Every key is compared, in constant time each.
    let scope: KeyScope | undefined;
    for (const candidate of this.#keys) if (timingSafeEqual(candidate.hash, hash)) scope = candidate.scope;
    return scope;
  }

  /** Names a caller for batch ids: they are scoped by key, and a key is never stored as it is. */
  senderOf(key: string | undefined): string {
    return this.open || key === undefined ? '' : sha256(key).toString('base64url').slice(0, 22);
  }

  #add(key: string | undefined, scope: KeyScope): void {
    if (key !== undefined) this.#keys.push({ hash: sha256(key), scope });
  }
}

/** The key of a request: `Authorization: Bearer K` or `apikey: K`. Never from the URL: URLs end up in logs. */
export function keyOf(headers: IncomingHttpHeaders): string | undefined {
  const bearer = /^Bearer\s+(\S+)\s*$/i.exec(headers.authorization ?? '')?.[1];
  if (bearer !== undefined) return bearer;
  const apikey = headers.apikey;
  return typeof apikey === 'string' ? apikey : undefined;
}

function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
