import { createReadStream } from 'node:fs';
import { pipeline } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { eventFields, type FieldName, fieldNames, type InferenceEvent, ruleOf } from '@nowcast/protocol';
import { parse } from 'csv-parse';
import { closest } from 'fastest-levenshtein';
import { StartupError } from '../../startupError.ts';

export type TimedEvent = InferenceEvent & { timestamp: string };

/** Which column gives which field, and the fields that are the same for every event. */
export interface FieldMap {
  readonly columns: ReadonlyMap<FieldName, string>;
  readonly constants: ReadonlyMap<FieldName, string>;
  /** Neither gives inference_time_ms. */
  readonly inventsLatency: boolean;
}

/** @throws StartupError (wrong usage) that names the option and the field */
export function parseFieldMap(map: readonly string[], set: readonly string[]): FieldMap {
  const columns = parsePairs('--map', map);
  const constants = parsePairs('--set', set);
  if (!columns.has('timestamp')) {
    throw new StartupError('--map timestamp=COLUMN is needed: when did each event arrive?', 2);
  }
  const has = (name: FieldName) => columns.has(name) || constants.has(name);
  if (!has('model_version')) {
    throw new StartupError(
      'model_version is needed: --map model_version=COLUMN or --set model_version=NAME.',
      2,
    );
  }
  return { columns, constants, inventsLatency: !has('inference_time_ms') };
}

function parsePairs(option: string, pairs: readonly string[]): Map<FieldName, string> {
  return new Map(
    pairs.map((pair) => {
      const at = pair.indexOf('=');
      const name = pair.slice(0, at) as FieldName;
      if (at < 1 || !Object.hasOwn(eventFields, name)) {
        const hint = at < 1 ? 'it has the form field=value' : `did you mean ${closest(name, fieldNames)}?`;
        throw new StartupError(`${option} ${pair}: ${hint}`, 2);
      }
      return [name, pair.slice(at + 1)];
    }),
  );
}

export async function countRows(file: string): Promise<number> {
  let rows = 0;
  for await (const _row of csvRows(file)) rows += 1;
  return rows;
}

/** @throws StartupError when a mapped column is missing or a time is none */
export async function* readEvents(file: string, map: FieldMap): AsyncGenerator<TimedEvent> {
  let line = 1;
  for await (const row of csvRows(file)) {
    line += 1;
    const event: Record<string, unknown> = {};
    for (const [name, text] of map.constants) event[name] = fieldValue(name, text);
    for (const [name, column] of map.columns) {
      const text = row[column];
      if (text === undefined) {
        throw new StartupError(`${file} has no column ${column}; it has: ${Object.keys(row).join(', ')}.`, 2);
      }
      if (text !== '') event[name] = fieldValue(name, text);
    }
    const at = Date.parse(asUtc(String(event.timestamp)));
    if (Number.isNaN(at)) {
      throw new StartupError(`${file}, line ${line}: ${String(event.timestamp)} is no time.`, 2);
    }
    event.timestamp = new Date(at).toISOString();
    if (map.inventsLatency) {
      event.inference_time_ms = 200 + 20 * Number(event.output_tokens ?? 0);
      event.metadata = { latency: 'made up by nowcast replay' };
    }
    yield event as TimedEvent;
  }
}

function csvRows(file: string): AsyncIterable<Record<string, string>> {
  const parser = parse({ columns: true, bom: true, skip_empty_lines: true, trim: true });
  const source = createReadStream(file);
  // Errors of the earlier streams reach the reader through the parser.
  const done = (error: NodeJS.ErrnoException | null | undefined) => {
    if (error)
      parser.destroy(error.code === 'ENOENT' ? new StartupError(`There is no file ${file}.`, 2) : error);
  };
  if (file.endsWith('.gz')) pipeline(source, createGunzip(), parser, done);
  else pipeline(source, parser, done);
  return parser as AsyncIterable<Record<string, string>>;
}

/** Times in traces mostly come without a zone; they are UTC. */
function asUtc(text: string): string {
  return /(?:Z|[+-]\d\d:?\d\d)$/i.test(text) ? text : `${text.replace(' ', 'T')}Z`;
}

function fieldValue(name: FieldName, text: string): unknown {
  switch (ruleOf(name).kind) {
    case 'number':
    case 'integer':
      return Number(text);
    case 'boolean':
      return /^(?:true|t|1|yes)$/i.test(text);
    case 'object':
      return JSON.parse(text);
    default:
      return text;
  }
}
