import type { IncomingHttpHeaders } from 'node:http';
import type pg from 'pg';
import type { Logger } from 'pino';
import { HttpError, RateLimitedError } from '../ingest/httpError.ts';
import { isLoopbackAddress, type Settings } from '../settings.ts';
import { hashKey, type KeyScope, keyOf } from './keys.ts';
import { loadKeys, touchKeys } from './keyTable.ts';
import { assertLoopback, isLoopbackHost, isLoopbackOrigin } from './loopback.ts';
import { TokenBucket } from './tokenBucket.ts';

/** A change is announced by NOTIFY; this is for the announcement that was lost with its connection. */
const reloadIntervalMs = 30_000;
/** When a key was last used is written at most this often. */
const touchIntervalMs = 60_000;

export type AccessSettings = Pick<
  Settings,
  'host' | 'ingestKey' | 'anonKey' | 'serviceKey' | 'allowedOrigins' | 'rateLimit'
>;

interface KnownKey {
  readonly scope: KeyScope;
  /** Names a caller for batch ids: they are scoped by key, and a key is never stored as it is. */
  readonly sender: string;
  /** By which people know it. */
  readonly label: string;
  readonly bucket: TokenBucket | undefined;
  /** Infinity for a key of the environment: nobody writes down when it was used. */
  touchedAtMs: number;
}

/**
 * Decides by key what a caller may do. Without any key, every caller on loopback may do everything; as soon as there
 * is one, whoever calls needs one, on loopback too: a tunnel or a reverse proxy makes everybody look local.
 */
export class Access {
  readonly #settings: AccessSettings;
  readonly #log: Logger;
  /** By hash: a lookup by what an attacker cannot choose tells nothing by the time it takes. */
  readonly #fromEnvironment = new Map<string, KnownKey>();
  #stored: ReadonlyMap<string, KnownKey> = new Map();
  #everCreated = false;
  readonly #everybody: KnownKey;
  #pool: pg.Pool | undefined;
  #reloadTimer: NodeJS.Timeout | undefined;
  #loading: Promise<void> | undefined;
  #loadAgain = false;
  readonly #used = new Set<string>();
  #touching: Promise<void> | undefined;
  #changed: () => void = () => undefined;

  constructor(settings: AccessSettings, log: Logger) {
    this.#settings = settings;
    this.#log = log;
    this.#everybody = this.#known('service', '', 'unnamed', Number.POSITIVE_INFINITY);
    const { ingestKey, anonKey, serviceKey } = settings;
    for (const [scope, key] of Object.entries({ ingest: ingestKey, anon: anonKey, service: serviceKey })) {
      if (key === undefined) continue;
      const hash = hashKey(key);
      this.#fromEnvironment.set(
        hash,
        this.#known(scope as KeyScope, hash, `NOWCAST_${scope.toUpperCase()}_KEY`, Number.POSITIVE_INFINITY),
      );
    }
  }

  /** Reads the keys of the database, and again whenever `reload` is called. */
  async start(pool: pg.Pool, changed: () => void): Promise<void> {
    this.#pool = pool;
    await this.#load(pool);
    this.#changed = changed;
    this.#reloadTimer = setInterval(() => this.reload(), reloadIntervalMs).unref();
  }

  async stop(): Promise<void> {
    clearInterval(this.#reloadTimer);
    await this.#loading;
    await this.#touching;
    this.#pool = undefined;
  }

  /** No key has ever been made, and only this machine can reach the port. */
  get open(): boolean {
    return this.#fromEnvironment.size === 0 && !this.#everCreated && isLoopbackAddress(this.#settings.host);
  }

  /** Whether any key opens anything. */
  get hasKeys(): boolean {
    return this.#fromEnvironment.size > 0 || this.#stored.size > 0;
  }

  /** @returns undefined when the key is missing or unknown */
  scopeOf(key: string | undefined): KeyScope | undefined {
    return this.#find(key)?.scope;
  }

  senderOf(key: string | undefined): string {
    return this.#find(key)?.sender ?? '';
  }

  /** The name of the caller's key, for people. */
  labelOf(key: string | undefined): string {
    return this.#find(key)?.label ?? 'unnamed';
  }

  /**
   * @param events taken from the caller's rate limit; 0 where they are not known yet
   * @throws HttpError 401 without a key, 403 with one that may only read or, without keys, from elsewhere, 429
   */
  assertMayWrite(headers: IncomingHttpHeaders, events: number): void {
    if (this.open) assertLoopback(headers);
    const key = this.#find(keyOf(headers));
    if (key === undefined) throw unauthorized();
    if (key.scope === 'anon') {
      throw new HttpError(403, 'forbidden', 'this key may read; writing needs an ingest key');
    }
    if (key.bucket === undefined) return;
    const retryAfterSeconds = key.bucket.take(events);
    if (retryAfterSeconds > 0) {
      throw new RateLimitedError(
        `this key may send ${this.#settings.rateLimit} events a second (NOWCAST_RATE_LIMIT)`,
        retryAfterSeconds,
      );
    }
  }

  /** @throws HttpError 401 without a key, 403 with one that may not */
  assertMay(need: 'read' | 'service', headers: IncomingHttpHeaders): void {
    const scope = this.scopeOf(keyOf(headers));
    if (scope === undefined) throw unauthorized();
    if (scope === 'ingest') {
      throw new HttpError(403, 'forbidden', 'this key may write events; reading needs an anon key');
    }
    if (need === 'service' && scope !== 'service') {
      throw new HttpError(403, 'forbidden', 'this key may read; this needs a service key');
    }
  }

  /** Whether a page of another origin may read answers (CORS). */
  crossOriginAllowed(origin: string): boolean {
    if (this.open) return isLoopbackOrigin(origin);
    const { allowedOrigins } = this.#settings;
    return allowedOrigins.includes('*') || allowedOrigins.includes(origin);
  }

  /** Whether a WebSocket may be opened: browsers ask nobody before they connect one to another origin. */
  webSocketAllowed({ host, origin }: IncomingHttpHeaders): boolean {
    if (this.open) return isLoopbackHost(host) && isLoopbackOrigin(origin);
    if (origin === undefined || this.crossOriginAllowed(origin)) return true;
    // The scheme is not compared: a proxy that ends TLS passes the host on.
    return URL.canParse(origin) && new URL(origin).host === host?.toLowerCase();
  }

  /** The keys in the database have changed, or may have. */
  reload(): void {
    if (this.#pool === undefined) return;
    this.#loadAgain = true;
    if (this.#loading !== undefined) return;
    const pool = this.#pool;
    this.#loading = this.#reloadWhileChanging(pool)
      // What was known still holds; the timer tries again.
      .catch((error: unknown) => this.#log.warn({ err: error }, 'reading the keys failed'))
      .finally(() => {
        this.#loading = undefined;
      });
  }

  async #reloadWhileChanging(pool: pg.Pool): Promise<void> {
    while (this.#loadAgain) {
      this.#loadAgain = false;
      await this.#load(pool);
      this.#changed();
    }
  }

  async #load(pool: pg.Pool): Promise<void> {
    const { keys, everCreated } = await loadKeys(pool);
    const wasOpen = this.open;
    this.#stored = new Map(
      // Known ones stay as they are: their bucket is as full as it was.
      keys.map(({ hash, scope, label }) => [
        hash,
        this.#stored.get(hash) ?? this.#known(scope, hash, label, 0),
      ]),
    );
    this.#everCreated = everCreated;
    if (wasOpen && !this.open && this.#reloadTimer !== undefined) {
      this.#log.info('a key was created: from now on every request needs one');
    }
  }

  #known(scope: KeyScope, hash: string, label: string, touchedAtMs: number): KnownKey {
    const { rateLimit } = this.#settings;
    return {
      scope,
      sender: hash.slice(0, 22),
      label,
      bucket: rateLimit === undefined ? undefined : new TokenBucket(rateLimit),
      touchedAtMs,
    };
  }

  #find(key: string | undefined): KnownKey | undefined {
    if (this.open) return this.#everybody;
    if (key === undefined) return undefined;
    const hash = hashKey(key);
    const known = this.#fromEnvironment.get(hash) ?? this.#stored.get(hash);
    if (known !== undefined && Date.now() - known.touchedAtMs >= touchIntervalMs) this.#touch(hash, known);
    return known;
  }

  /** In the background: nobody waits for it. */
  #touch(hash: string, known: KnownKey): void {
    known.touchedAtMs = Date.now();
    this.#used.add(hash);
    this.#touching ??= this.#writeUsed().finally(() => {
      this.#touching = undefined;
    });
  }

  async #writeUsed(): Promise<void> {
    while (this.#used.size > 0 && this.#pool !== undefined) {
      const hashes = [...this.#used];
      this.#used.clear();
      try {
        await touchKeys(this.#pool, hashes);
      } catch (error) {
        this.#log.warn(
          { err: error },
          'writing when keys were last used failed; the next minute tries again',
        );
      }
    }
  }
}

function unauthorized(): HttpError {
  return new HttpError(401, 'unauthorized', 'a key is required: Authorization: Bearer KEY');
}
