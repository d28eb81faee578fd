/**
 * The file of a backup, inside gzip: lines of JSON, and after each `{"bytes": n}` line n bytes of PostgreSQL's COPY
 * text format. First a BackupHeader; then for each table a BackupSection, its data and `{"bytes": 0}`; last a
 * BackupEnd.
 */
export const formatVersion = 1;

export interface BackupHeader {
  readonly nowcast_backup: number;
  readonly created_at: string;
  /** Names of the migrations that the database had: one that the target lacks means that it is older. */
  readonly migrations: readonly string[];
  /** In the order of their sections, each after those that it refers to. */
  readonly tables: readonly string[];
}

export type BackupSection =
  | { readonly table: string; readonly columns: readonly string[] }
  /** A day of inference_logs, `YYYY-MM-DD`. */
  | { readonly day: string; readonly columns: readonly string[] };

export interface BackupEnd {
  readonly sequences: Readonly<Record<string, string>>;
  readonly rows: number;
  /** Of every byte before this line. */
  readonly sha256: string;
}
