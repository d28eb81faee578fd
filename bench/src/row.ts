/** What a measurement hands back: rows of the final table. */

/** A side that this machine or this clone cannot run; the reason goes into the table, nothing stands in for it. */
export interface Missing {
  missing: string;
}

export function isMissing(value: object): value is Missing {
  return 'missing' in value;
}

/** A side's samples, one a round. */
export type Samples<Sample> = Sample[] | Missing;

/** The median of the rounds and how far they lay apart. */
export interface Spread {
  median: number;
  low: number;
  high: number;
}

/** A bound on the ratio, or on Nowcast's own figure in a row without another side. */
export interface Target {
  atLeast?: number;
  atMost?: number;
}

export interface Row {
  what: string;
  unit: string;
  ours: Spread | null;
  /** The other side's name and figure; null where the row stands alone. */
  against: string | null;
  theirs: Spread | null;
  /** Nowcast over the other side, round by round, so that a slow moment of the machine hits both. */
  ratio: Spread | null;
  target: Target | null;
  /** Why a side is missing. */
  notMeasured: string | null;
}

/** A row that sets one of Nowcast's figures beside one of another side's. */
export function compare<Ours, Theirs>(row: {
  what: string;
  unit: string;
  ours: Samples<Ours>;
  ourFigure: (sample: Ours) => number;
  against: string;
  theirs: Samples<Theirs>;
  theirFigure: (sample: Theirs) => number;
  target?: Target;
}): Row {
  const ours = isMissing(row.ours) ? null : row.ours.map(row.ourFigure);
  const theirs = isMissing(row.theirs) ? null : row.theirs.map(row.theirFigure);
  return {
    what: row.what,
    unit: row.unit,
    ours: ours && spread(ours),
    against: row.against,
    theirs: theirs && spread(theirs),
    ratio: ours && theirs && spread(ours.map((value, round) => value / theirs[round]!)),
    target: row.target ?? null,
    notMeasured: [row.ours, row.theirs].find(isMissing)?.missing ?? null,
  };
}

/** A row of Nowcast's own figure against a fixed bound. */
export function alone(row: { what: string; unit: string; ours: Samples<number>; target?: Target }): Row {
  return {
    what: row.what,
    unit: row.unit,
    ours: isMissing(row.ours) ? null : spread(row.ours),
    against: null,
    theirs: null,
    ratio: null,
    target: row.target ?? null,
    notMeasured: isMissing(row.ours) ? row.ours.missing : null,
  };
}

/** Undefined where there is no target or nothing to hold against it. */
export function meetsTarget(row: Row): boolean | undefined {
  const judged = row.against === null ? row.ours : row.ratio;
  if (row.target === null || judged === null) return undefined;
  return (
    judged.median >= (row.target.atLeast ?? -Infinity) && judged.median <= (row.target.atMost ?? Infinity)
  );
}

function spread(values: number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const median = sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
  return { median, low: sorted[0]!, high: sorted.at(-1)! };
}
