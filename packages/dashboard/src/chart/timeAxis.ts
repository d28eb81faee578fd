/** How a chart, its table and its tooltip name the places on their time axis. */
export interface TimeAxis {
  readonly ticks: readonly number[];
  readonly tick: (start: number) => string;
  /** One point as a column's head or a row's name: "14:05". */
  readonly short: (start: number) => string;
  /** The time that a point stands for: "14:05 to 14:06". */
  readonly span: (start: number) => string;
  /** The last bucket is under way, and not yet what it will be: this far before it the ground is darker. */
  readonly underWayMs: number | undefined;
}
