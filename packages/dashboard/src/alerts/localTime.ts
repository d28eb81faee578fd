import type { Explanation } from '../data/explanation.ts';
import { momentOfDay, timeOfDay } from '../data/format.ts';

/**
 * What the server wrote for everybody tells times in UTC; on the page they would stand beside local ones. Exactly the
 * times that are known from the explanation's other fields are replaced: what is not found stays as it was written.
 * Pure.
 */
export function inLocalTime(
  text: string,
  { since, baselineSince, baselineUntil, deployed }: Explanation,
  now: number,
): string {
  if (since === undefined) return text;
  const local = (at: number) => timeOfDay(at, now);
  const told = new Map([[`since ${utcMoment(since)} UTC`, `since ${momentOfDay(since, now)}`]]);
  for (const { at } of deployed)
    told.set(`first seen at ${utcTime(at, since)}`, `first seen at ${local(at)}`);
  if (baselineSince !== undefined && baselineUntil !== undefined)
    told.set(
      `${utcTime(baselineSince, since)} to ${utcTime(baselineUntil, since)}`,
      `${local(baselineSince)} to ${local(baselineUntil)}`,
    );
  // At one go: a local time may read like another one in UTC.
  return text.replace(new RegExp([...told.keys()].join('|'), 'g'), (utc) => told.get(utc) ?? utc);
}

/** As a timeline tells when a silence ends: with its day and its zone. */
export function untilInLocalTime(text: string, now: number): string {
  return text.replace(
    /^Silenced until (\d{4}-\d\d-\d\d) (\d\d:\d\d) UTC/,
    (all, day: string, time: string) => {
      const at = Date.parse(`${day}T${time}Z`);
      return Number.isNaN(at) ? all : `Silenced until ${timeOfDay(at, now)}`;
    },
  );
}

/** "03:04:22", "03:04" */
function utcMoment(at: number): string {
  const iso = new Date(at).toISOString();
  return iso.slice(11, iso.slice(17, 19) === '00' ? 16 : 19);
}

/** "03:04", with the day where it is another one than the incident's. */
function utcTime(at: number, incidentAt: number): string {
  const iso = new Date(at).toISOString();
  const day = iso.slice(0, 10);
  return `${day === new Date(incidentAt).toISOString().slice(0, 10) ? '' : `${day} `}${iso.slice(11, 16)}`;
}
