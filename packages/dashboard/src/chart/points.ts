/** One place on the time axis. */
export interface Point {
  readonly start: number;
  /** One a series; null where there is nothing to show. */
  readonly values: readonly (number | null)[];
}

export interface Series {
  readonly label: string;
  /** Which of the palette's colours, from 0. */
  readonly slot: number;
  /** A line of this model; undefined where the series is not of one. */
  readonly model: string | undefined;
  /** Where several series share a colour they differ by this; see `dashes` in Swatch.tsx. */
  readonly dash?: number;
}

/** What a chart can be made of: a bucket of time and model. */
interface ChartRow {
  readonly start: number;
  readonly model: string;
}

/** One value for each start and series: rows of `model` through `read`, and `absent` where there is no row. */
export function pointsOf<R extends ChartRow>(
  rows: readonly R[],
  starts: readonly number[],
  columns: readonly { readonly model: string; readonly read: (row: R) => number | null }[],
  absent: null | 0,
): readonly Point[] {
  const byKey = new Map(rows.map((row) => [`${row.start} ${row.model}`, row]));
  return starts.map((start) => ({
    start,
    values: columns.map(({ model, read }) => {
      const row = byKey.get(`${start} ${model}`);
      return row === undefined ? absent : read(row);
    }),
  }));
}

/**
 * Whether the newest value of counts is better left out: its bucket is under way, and next to a whole one it would look
 * like a fall. After nothing it is a rise all the same.
 */
export function looksLikeFall(counts: readonly (number | null)[]): boolean {
  return (counts.at(-2) ?? 0) > 0;
}
