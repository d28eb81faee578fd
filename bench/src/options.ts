/** The command line, and how long and how often each measurement runs because of it. */
import { parseArgs } from 'node:util';

export interface Plan {
  quick: boolean;
  /** Names of measurements, in the order they run; empty means all. */
  only: string[];
  profile: boolean;
  saveTo: string | null;
  /** Sides take turns this many times. */
  rounds: number;
  /** How long `memory` watches. */
  minutes: number;
  /** While `memory` watches. */
  eventsPerSecond: number;
  warmUpMs: number;
  measureMs: number;
}

export const USAGE = `Usage: npm run bench -- [options]

  --quick           short windows and two rounds: under a minute, for a first look
  --only A,B        only these measurements
  --profile         also say where the time goes: CPU seconds of each process, V8 profile of the server
  --save FILE.md    also write the table to a file
  --minutes N       how long 'memory' watches the page (10)
  --rate N          events a second meanwhile, a multiple of 100 (2000)
  --help            this text
`;

export class UsageError extends Error {}

export function parsePlan(args: string[], measurements: string[]): Plan | 'help' {
  const { values } = parse(args);
  if (values.help === true) return 'help';
  const only = (values.only ?? '').split(',').filter((name) => name !== '');
  const unknown = only.find((name) => !measurements.includes(name));
  if (unknown !== undefined) {
    throw new UsageError(`no measurement is called "${unknown}"; there are: ${measurements.join(', ')}`);
  }
  const quick = values.quick === true;
  const [minutes, eventsPerSecond] = [Number(values.minutes ?? 10), Number(values.rate ?? 2_000)];
  if (!(minutes > 0)) throw new UsageError('--minutes wants a number above 0');
  if (!(eventsPerSecond > 0) || eventsPerSecond % 100 !== 0) {
    throw new UsageError('--rate wants a multiple of 100');
  }
  return {
    quick,
    only,
    profile: values.profile === true,
    saveTo: values.save ?? null,
    rounds: quick ? 2 : 5,
    minutes,
    eventsPerSecond,
    warmUpMs: quick ? 500 : 1_500,
    measureMs: quick ? 1_000 : 4_000,
  };
}

function parse(args: string[]) {
  try {
    return parseArgs({
      args,
      options: {
        quick: { type: 'boolean' },
        only: { type: 'string' },
        profile: { type: 'boolean' },
        save: { type: 'string' },
        minutes: { type: 'string' },
        rate: { type: 'string' },
        help: { type: 'boolean', short: 'h' },
      },
    });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}
