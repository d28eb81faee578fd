import type pg from 'pg';

/** A piece of news for every channel: lines of text, and a path of the page. */
export interface Digest {
  /** It is sent once a key, whichever server asks, however often. */
  readonly key: string;
  readonly title: string;
  readonly text: string;
  readonly lines: readonly string[];
  /** Of the page, such as `/history`. */
  readonly link: string;
}

/** Hands a digest to the outbox. @returns whether it is new */
export async function enqueueDigest(pool: pg.Pool, { key, ...payload }: Digest): Promise<boolean> {
  const { rows } = await pool.query<{ made: boolean }>('select nowcast.enqueue_digest($1, $2) as made', [
    key,
    JSON.stringify(payload),
  ]);
  return rows[0]!.made;
}

/** Whether somebody has made the digest of this key: for those that are dear to make. */
export async function isDigestMade(pool: pg.Pool, key: string): Promise<boolean> {
  const { rows } = await pool.query<{ made: boolean }>(
    `select exists (
       select from nowcast.alert_outbox o where o.incident_id is null and o.kind = 'digest' and o.labels ->> 'digest' = $1
     ) as made`,
    [key],
  );
  return rows[0]!.made;
}
