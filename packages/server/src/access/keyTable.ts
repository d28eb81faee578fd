import type pg from 'pg';
import { hashKey, type KeyScope, makeKey } from './keys.ts';

/** A pool, or one connection. */
type Database = Pick<pg.Pool, 'query'>;

interface StoredKey {
  /** As `hashKey` writes it. */
  readonly hash: string;
  readonly scope: KeyScope;
  /** By which people know it. */
  readonly label: string;
}

/**
 * The keys that open something, and whether there has ever been one: revoking the last key must not turn a guarded
 * server into one that is open to everybody.
 */
export async function loadKeys(database: Database): Promise<{ keys: StoredKey[]; everCreated: boolean }> {
  const { rows } = await database.query<{ hash: Buffer; scope: KeyScope; label: string; revoked: boolean }>(
    `select hash, scope, coalesce(nullif(name, ''), prefix) as label, revoked_at is not null as revoked from nowcast.keys`,
  );
  return {
    keys: rows
      .filter(({ revoked }) => !revoked)
      .map((row) => ({ hash: row.hash.toString('base64url'), scope: row.scope, label: row.label })),
    everCreated: rows.length > 0,
  };
}

/** The only moment at which the key itself exists outside its owner's hands. */
export async function createKey(
  database: Database,
  scope: KeyScope,
  name: string,
): Promise<{ key: string; prefix: string; first: boolean }> {
  const { key, prefix } = makeKey(scope);
  const { rows } = await database.query<{ first: boolean }>(
    `insert into nowcast.keys (hash, prefix, scope, name) values ($1, $2, $3, $4)
     returning not exists (select from nowcast.keys) as first`,
    [Buffer.from(hashKey(key), 'base64url'), prefix, scope, name],
  );
  return { key, prefix, first: rows[0]!.first };
}

/**
 * Revokes the one key whose prefix begins with the text, or the key that the text is.
 *
 * @returns the prefixes that match: revoked where there is exactly one
 */
export async function revokeKey(
  database: Database,
  text: string,
): Promise<{ prefixes: string[]; already: boolean }> {
  const { rows } = await database.query<{ prefix: string; revoked: boolean }>(
    `select prefix, revoked_at is not null as revoked from nowcast.keys
     where starts_with(prefix, $1) or hash = $2 order by created_at`,
    [text, Buffer.from(hashKey(text), 'base64url')],
  );
  const [only, ...more] = rows;
  if (only !== undefined && more.length === 0) {
    await database.query(
      'update nowcast.keys set revoked_at = now() where prefix = $1 and revoked_at is null',
      [only.prefix],
    );
  }
  return { prefixes: rows.map(({ prefix }) => prefix), already: only?.revoked ?? false };
}

/** Several servers may see the same key; one of them writes. */
export async function touchKeys(database: Database, hashes: readonly string[]): Promise<void> {
  await database.query(
    `update nowcast.keys set last_used_at = now()
     where hash = any ($1) and (last_used_at is null or last_used_at <= now() - interval '1 minute')`,
    [hashes.map((one) => Buffer.from(one, 'base64url'))],
  );
}
