/** A committed row change as the feed hands it over; values are JSON-ready, as PostgreSQL's to_jsonb writes them. */
export interface Change {
  readonly schema: 'public';
  readonly table: string;
  readonly type: 'INSERT' | 'UPDATE' | 'DELETE';
  /** ISO 8601 in UTC with milliseconds and `Z`; the rows of one transaction carry the same one. */
  readonly commitTimestamp: string;
  /** null for a DELETE. */
  readonly record: Readonly<Record<string, unknown>> | null;
  /** The replica identity: at least the primary key. */
  readonly oldRecord?: Readonly<Record<string, unknown>>;
}

/** Changes of a table that nobody can be given any more; `missed` is null when nobody knows how many. */
export interface Gap {
  readonly table: string;
  readonly missed: number | null;
  readonly reason: string;
}
