import type pg from 'pg';
import type { Logger } from 'pino';
import type { Scope } from '../published.ts';

/** Roles under which each scope reads (sql/api/zz_roles.sql). */
export type RestRoles = Readonly<Record<Scope, string>>;

/**
 * The roles of this database, or undefined where its owner may not make or take them: reads then run as the owner, with
 * the allow-list as the only wall.
 */
export async function loadRoles(pool: pg.Pool, log: Pick<Logger, 'warn'>): Promise<RestRoles | undefined> {
  const client = await pool.connect();
  try {
    const { rows } = await client.query<RestRoles>(
      `select nowcast.rest_role('anon') as anon, nowcast.rest_role('service') as service`,
    );
    const roles = rows[0]!;
    await client.query('begin');
    try {
      for (const role of Object.values(roles)) await client.query(setRole(role));
      return roles;
    } finally {
      await client.query('rollback');
    }
  } catch (error) {
    log.warn(
      { err: error },
      "this database gives the REST door no roles of its own, so its reads run with the owner's rights: give the owner CREATEROLE and start again",
    );
    return undefined;
  } finally {
    client.release();
  }
}

/** For the transaction that is open. */
export function setRole(role: string): string {
  return `set local role "${role.replaceAll('"', '""')}"`;
}
