import { closest } from 'fastest-levenshtein';
import { StartupError } from '../../startupError.ts';
import { type IncidentKind, incidentKinds } from './traffic.ts';

/** Something that goes wrong, counted from the beginning of what is sent live. */
export interface Incident {
  readonly kind: IncidentKind;
  readonly afterMs: number;
  readonly lastingMs: number;
}

const unitsMs = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** `90s`, `10m`, `2h` or `1d` in milliseconds. @throws StartupError (wrong usage) */
export function parseDurationMs(option: string, text: string): number {
  const [, count, unit] = /^(\d+(?:\.\d+)?)([smhd])$/.exec(text) ?? [];
  if (count === undefined) {
    throw new StartupError(`${option} must be a duration such as 90s, 10m, 2h or 1d, got ${text}.`, 2);
  }
  return Number(count) * unitsMs[unit as keyof typeof unitsMs];
}

/** @throws StartupError (wrong usage) */
export function parsePositive(option: string, text: string, maximum: number): number {
  const value = Number(text);
  if (value > 0 && value <= maximum) return value;
  throw new StartupError(`${option} must be a number above 0 and up to ${maximum}, got ${text}.`, 2);
}

/** @throws StartupError (wrong usage) */
export function parseSeed(text: string): number {
  const seed = Number(text);
  if (Number.isInteger(seed) && seed >= 0 && seed < 2 ** 32) return seed;
  throw new StartupError(`--seed must be a whole number from 0 to ${2 ** 32 - 1}, got ${text}.`, 2);
}

/**
 * `errors`, `errors@2m` (begins after two minutes) or `errors@2m+5m` (and lasts five).
 *
 * @throws StartupError (wrong usage)
 */
export function parseIncident(text: string): Incident {
  const [, kind = text, after, lasting] = /^([^@]+)(?:@([^+]+)(?:\+(.+))?)?$/.exec(text) ?? [];
  if (!incidentKinds.includes(kind as IncidentKind)) {
    throw new StartupError(
      `--incident ${text}: did you mean ${closest(kind, incidentKinds)}? There are ${incidentKinds.join(', ')}.`,
      2,
    );
  }
  return {
    kind: kind as IncidentKind,
    afterMs: after === undefined ? 0 : parseDurationMs('--incident', after),
    lastingMs: lasting === undefined ? Number.POSITIVE_INFINITY : parseDurationMs('--incident', lasting),
  };
}
