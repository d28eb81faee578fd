/**
 * The `postgres_changes` items of a join become subscriptions: checked against the catalog and the
 * key's scope, filters compiled, columns chosen. What cannot be served is refused here, so that the
 * user sees CHANNEL_ERROR with the reason instead of a channel that stays silent.
 */
import { createHash } from 'node:crypto';
import type { Catalog, Relation } from '../catalog.ts';
import type { Scope } from '../published.ts';
import { type Condition, FilterError, parseFilter } from './filter.ts';
import { compileFilter, type Matcher } from './filter-match.ts';
import { isObject } from './wire.ts';

export type ChangeType = 'INSERT' | 'UPDATE' | 'DELETE';

/** The columns that a subscriber gets; subscriptions with equal keys share one encoded row. */
export interface Projection {
  readonly key: string;
  readonly names: readonly string[];
  readonly primaryKey: readonly string[];
  /** The `columns` array of the frame, encoded once. */
  readonly columnsJson: string;
}

interface TableBinding {
  readonly matches: Matcher;
  readonly projection: Projection;
}

export interface Subscription {
  /** The item as text: equal for equal subscriptions of any clients. */
  readonly spec: string;
  /**
   * Ties a change to the client's binding, unique in its channel. Derived from the spec, so that clients
   * who ask the same get the same bytes; a positive number, because the client takes a falsy id for none.
   */
  readonly id: number;
  readonly event: ChangeType | '*';
  /** What the client sent, for the reply: it compares event, schema, table and filter strictly. */
  readonly echo: Readonly<Record<string, unknown>>;
  readonly tables: ReadonlyMap<string, TableBinding>;
}

export interface Access {
  readonly catalog: Pick<Catalog, 'relation'>;
  readonly scope: Scope;
  /** undefined or none: the relation may not be read. */
  readableColumns(scope: Scope, relation: Relation): readonly string[] | undefined;
}

/** Tables whose changes are published; a view has none, and a partition speaks as its parent. */
export const PUBLISHED_TABLES: readonly string[] = [
  'inference_logs',
  'system_alerts',
  'metrics_pulse',
  'alert_rules',
  'daily_metrics_summary',
  // Views that are told by name: changes of the tables behind them, and what is pushed and stored nowhere. A subscription
  // to every table does not bring them.
  'alert_silences',
  'incident_timeline',
  'metrics_hour_totals',
  'pipeline_status',
];

/** The message is `Code: text`, as Supabase words its refusals. */
export class SubscribeError extends Error {
  override name = 'SubscribeError';
}

/** @throws SubscribeError */
export function compileSubscriptions(
  items: unknown,
  access: Access,
  maxBindings: number,
): readonly Subscription[] {
  if (items === undefined || items === null) return [];
  if (!Array.isArray(items)) throw new SubscribeError('InvalidSubscription: postgres_changes must be a list');
  const present: readonly unknown[] = items.filter((item) => item !== null);
  if (present.length > maxBindings) {
    throw new SubscribeError(
      `TooManyBindings: a channel takes at most ${maxBindings} postgres_changes bindings, not ${present.length}`,
    );
  }
  const ids = new Set<number>();
  return present.map((item) => {
    const request = readItem(item);
    const spec = JSON.stringify(request.echo);
    return {
      spec,
      id: uniqueId(spec, ids),
      event: request.event,
      echo: request.echo,
      tables: bindTables(request, access),
    };
  });
}

/** 31 bits: short on the wire. Equal or colliding items of one channel are told apart in their order. */
function uniqueId(spec: string, taken: Set<number>): number {
  let id = createHash('sha1').update(spec).digest().readUInt32BE(0) >>> 1;
  while (id === 0 || taken.has(id)) id++;
  taken.add(id);
  return id;
}

interface Request {
  readonly event: ChangeType | '*';
  /** undefined: every published table. */
  readonly table: string | undefined;
  readonly filter: string;
  readonly select: readonly string[] | undefined;
  readonly echo: Readonly<Record<string, unknown>>;
}

const MAX_FILTER_LENGTH = 8_192;

const EVENTS: ReadonlySet<unknown> = new Set(['*', 'INSERT', 'UPDATE', 'DELETE']);

function readItem(item: unknown): Request {
  if (!isObject(item)) throw new SubscribeError('InvalidSubscription: a postgres_changes item is an object');
  const { event, schema, table, filter, select } = item;
  if (!EVENTS.has(event)) {
    throw new SubscribeError(
      `InvalidEvent: ${show(event)} is not one of *, INSERT, UPDATE, DELETE (in capitals)`,
    );
  }
  if (schema !== undefined && schema !== null && schema !== '*' && schema !== 'public') {
    throw new SubscribeError(`InvalidSchema: schema ${show(schema)} is not published, only "public" is`);
  }
  if (!isOptionalText(table)) throw new SubscribeError('InvalidTable: table must be a text');
  if (!isOptionalText(filter)) throw new SubscribeError('InvalidFilter: filter must be a text');
  if ((filter?.length ?? 0) > MAX_FILTER_LENGTH) {
    throw new SubscribeError(`InvalidFilter: a filter has at most ${MAX_FILTER_LENGTH} characters`);
  }
  if (
    select !== undefined &&
    select !== null &&
    !(Array.isArray(select) && select.every((name) => typeof name === 'string'))
  ) {
    throw new SubscribeError('InvalidSelect: select must be a list of column names');
  }
  const echo: Record<string, unknown> = { event };
  for (const [key, value] of Object.entries({ schema, table, filter, select })) {
    if (value !== undefined) echo[key] = value;
  }
  const everyTable = table === undefined || table === null || table === '*' || schema === '*';
  const request: Request = {
    event: event as Request['event'],
    table: everyTable ? undefined : table,
    filter: filter ?? '',
    select: (select ?? undefined) as readonly string[] | undefined,
    echo,
  };
  if (everyTable && (request.filter !== '' || request.select !== undefined)) {
    throw new SubscribeError('InvalidSubscription: filter and select need schema "public" and one table');
  }
  return request;
}

function bindTables(request: Request, access: Access): ReadonlyMap<string, TableBinding> {
  const bound = new Map<string, TableBinding>();
  if (request.table === undefined) {
    for (const name of PUBLISHED_TABLES) {
      const relation = access.catalog.relation(name);
      const readable = relation && access.readableColumns(access.scope, relation);
      if (relation?.kind !== 'table' || !readable?.length) continue;
      bound.set(name, { matches: () => true, projection: project(relation, readable, undefined) });
    }
    return bound;
  }
  const relation = publishedTable(request.table, access.catalog);
  const readable = access.readableColumns(access.scope, relation);
  if (!readable?.length) {
    throw new SubscribeError(`PermissionDenied: this key may not read table ${show(relation.name)}`);
  }
  const visible = relation.columns.filter((column) => readable.includes(column.name));
  for (const name of request.select ?? []) {
    if (!visible.some((column) => column.name === name)) {
      throw new SubscribeError(
        `InvalidSelect: column ${show(name)} does not exist in ${relation.name} or is not readable`,
      );
    }
  }
  try {
    const conditions: readonly Condition[] = parseFilter(request.filter);
    // Only over readable columns: a filter on a hidden one would tell its values by what it lets through.
    const matches = compileFilter(conditions, (name) => visible.find((column) => column.name === name)?.type);
    return bound.set(relation.name, { matches, projection: project(relation, readable, request.select) });
  } catch (error) {
    if (!(error instanceof FilterError)) throw error;
    throw new SubscribeError(
      `InvalidFilter: ${error.message}, in filter ${show(request.filter)} on ${relation.name}`,
    );
  }
}

function publishedTable(name: string, catalog: Access['catalog']): Relation {
  const relation = catalog.relation(name);
  const published = PUBLISHED_TABLES.join(', ');
  if (relation?.kind === 'view' && !PUBLISHED_TABLES.includes(name)) {
    throw new SubscribeError(
      `InvalidTable: ${show(name)} is a view and emits no changes; subscribe to one of ${published}`,
    );
  }
  if (relation === undefined || !PUBLISHED_TABLES.includes(name)) {
    throw new SubscribeError(
      `InvalidTable: table ${show(name)} does not exist or is not published; published are ${published}`,
    );
  }
  return relation;
}

function project(
  relation: Relation,
  readable: readonly string[],
  select: readonly string[] | undefined,
): Projection {
  // The primary key stays in a selection: without it a client cannot tell rows apart.
  const columns = relation.columns.filter(
    (column) =>
      readable.includes(column.name) &&
      (select === undefined || column.isPrimaryKey || select.includes(column.name)),
  );
  const columnsJson = JSON.stringify(columns.map(({ name, type }) => ({ name, type })));
  return {
    key: `${relation.name}${columnsJson}`,
    names: columns.map((column) => column.name),
    primaryKey: columns.filter((column) => column.isPrimaryKey).map((column) => column.name),
    columnsJson,
  };
}

function isOptionalText(value: unknown): value is string | null | undefined {
  return value === undefined || value === null || typeof value === 'string';
}

function show(value: unknown): string {
  const text = JSON.stringify(value) ?? 'undefined';
  return text.length > 100 ? `${text.slice(0, 100)}…` : text;
}
