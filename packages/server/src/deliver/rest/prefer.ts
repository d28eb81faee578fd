/**
 * What the headers ask for: `Prefer` (RFC 7240), `Accept`, `Range`. Pure.
 */
import { RestError } from './errors.ts';

export interface Preferences {
  return: 'minimal' | 'representation' | 'headers-only';
  count: 'exact' | 'planned' | 'estimated' | undefined;
  resolution: 'merge-duplicates' | 'ignore-duplicates' | undefined;
  missingAsDefault: boolean;
  maxAffected: number | undefined;
  /** Value of `Preference-Applied`: what was understood. */
  applied: string;
}

export function parsePrefer(header: string): Preferences {
  const preferences: Preferences = {
    return: 'minimal',
    count: undefined,
    resolution: undefined,
    missingAsDefault: false,
    maxAffected: undefined,
    applied: '',
  };
  const applied: string[] = [];
  const unknown: string[] = [];
  let strict = false;
  for (const item of header.split(',').map((part) => part.trim())) {
    if (item === '') continue;
    const [name, value] = splitOnce(item);
    let known = true;
    if (name === 'return' && isOneOf(value, ['minimal', 'representation', 'headers-only'])) {
      preferences.return = value;
    } else if (name === 'count' && isOneOf(value, ['exact', 'planned', 'estimated'])) {
      preferences.count = value;
    } else if (name === 'resolution' && isOneOf(value, ['merge-duplicates', 'ignore-duplicates'])) {
      preferences.resolution = value;
    } else if (name === 'missing' && isOneOf(value, ['default', 'null'])) {
      preferences.missingAsDefault = value === 'default';
    } else if (name === 'handling' && isOneOf(value, ['strict', 'lenient'])) {
      strict = value === 'strict';
    } else if (name === 'max-affected' && /^\d{1,9}$/.test(value)) {
      preferences.maxAffected = Number(value);
    } else {
      known = false;
    }
    (known ? applied : unknown).push(item);
  }
  if (strict && unknown.length > 0) {
    throw new RestError(400, 'PGRST122', 'Invalid preferences given with handling=strict', {
      details: `Invalid preferences: ${unknown.join(', ')}`,
    });
  }
  // PostgREST heeds max-affected only when the client insists on its preferences.
  if (!strict) preferences.maxAffected = undefined;
  preferences.applied = applied.join(', ');
  return preferences;
}

export type Format = {
  kind: 'array' | 'object' | 'csv';
  nullsStripped: boolean;
};

export const CONTENT_TYPES: Readonly<Record<Format['kind'], string>> = {
  array: 'application/json; charset=utf-8',
  object: 'application/vnd.pgrst.object+json; charset=utf-8',
  csv: 'text/csv; charset=utf-8',
};

/** The first offered media type that exists here; quality values are not weighed. */
export function parseAccept(header: string | undefined): Format {
  if (header === undefined || header.trim() === '') return { kind: 'array', nullsStripped: false };
  const offered = header.split(',').map((part) => part.trim());
  for (const mediaType of offered) {
    const [type, ...parameters] = mediaType.split(';').map((part) => part.trim().toLowerCase());
    const nullsStripped = parameters.includes('nulls=stripped');
    switch (type) {
      case '*/*':
      case 'application/*':
      case 'application/json':
        return { kind: 'array', nullsStripped: false };
      case 'application/vnd.pgrst.array':
      case 'application/vnd.pgrst.array+json':
        return { kind: 'array', nullsStripped };
      case 'application/vnd.pgrst.object':
      case 'application/vnd.pgrst.object+json':
        return { kind: 'object', nullsStripped };
      case 'text/*':
      case 'text/csv':
        return { kind: 'csv', nullsStripped: false };
    }
  }
  throw new RestError(406, 'PGRST107', `None of these media types are available: ${offered.join(', ')}`);
}

export interface Window {
  offset: number;
  limit: number | undefined;
}

/** Intersects limit and offset with a `Range: 0-19` header; anything else in that header is ignored. */
export function narrowByRange(window: Window, header: string | undefined): Window {
  const found = /^\s*(?:items=)?(\d{1,15})-(\d{0,15})\s*$/.exec(header ?? '');
  if (!found) return window;
  const first = Number(found[1]);
  const last = found[2] === '' ? Number.MAX_SAFE_INTEGER : Number(found[2]);
  if (first > last) {
    throw new RestError(416, 'PGRST103', 'Requested range not satisfiable', {
      details: 'The lower boundary must be lower than or equal to the upper boundary in the Range header.',
    });
  }
  const offset = Math.max(window.offset, first);
  const end = Math.min(window.limit === undefined ? last : window.offset + window.limit - 1, last);
  return { offset, limit: end === Number.MAX_SAFE_INTEGER ? undefined : Math.max(0, end - offset + 1) };
}

function splitOnce(item: string): [string, string] {
  const at = item.indexOf('=');
  return at < 0 ? [item, ''] : [item.slice(0, at).trim(), item.slice(at + 1).trim()];
}

function isOneOf<const T extends string>(value: string, allowed: readonly T[]): value is T {
  return allowed.some((candidate) => candidate === value);
}
