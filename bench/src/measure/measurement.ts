/** One file of this folder is one measurement: it asks the bench for sides, lets them take turns, and returns rows. */
import type { Bench } from '../bench.ts';
import { isMissing, type Missing, type Row, type Samples } from '../row.ts';

export interface Measurement {
  /** The word for `--only`. */
  name: string;
  title: string;
  /** Left out of a quick run unless it is asked for by name. */
  slow?: true;
  /** Runs only when it is asked for by name. */
  byName?: true;
  run: (bench: Bench) => Promise<Row[]>;
}

type Turn<Sample> = (() => Promise<Sample>) | Missing;

/**
 * Lets the sides take turns, A B A B, and returns each side's samples in order of the rounds. A slow moment of
 * the machine falls on neighbouring turns, so the ratio within a round stays fair; every other round runs
 * backwards, so that no side is always the one that comes after another.
 */
export async function alternate<Results extends Record<string, unknown>>(
  rounds: number,
  sides: { [Name in keyof Results]: Turn<Results[Name]> },
): Promise<{ [Name in keyof Results]: Samples<Results[Name]> }> {
  const names: (keyof Results)[] = Object.keys(sides);
  const samples = {} as { [Name in keyof Results]: Samples<Results[Name]> };
  for (const name of names) samples[name] = isMissing(sides[name]) ? sides[name] : [];
  for (let round = 0; round < rounds; round++) {
    for (const name of round % 2 === 0 ? names : names.toReversed()) {
      const [take, taken] = [sides[name], samples[name]];
      if (typeof take === 'function' && Array.isArray(taken)) taken.push(await take());
    }
  }
  return samples;
}

/** The turn of a side that may be missing. */
export function turn<Side extends object, Sample>(
  side: Side | Missing,
  take: (side: Side) => Promise<Sample>,
): Turn<Sample> {
  return isMissing(side) ? side : () => take(side);
}
