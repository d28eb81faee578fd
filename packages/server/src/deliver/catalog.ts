/**
 * What the database holds, read from PostgreSQL's own catalog: the only place from which REST and realtime
 * take an identifier or a type. A name from a URL is looked up here and the catalog's own string is used.
 */
import type pg from 'pg';

export interface Column {
  name: string;
  /** pg_type.typname: int8, float8, timestamptz, jsonb, _text (an array of text), ... */
  type: string;
  isPrimaryKey: boolean;
  hasDefault: boolean;
  nullable: boolean;
  /** The default as SQL text, where the column has one that can be written as an expression. */
  defaultExpression?: string;
}

export interface Relation {
  schema: 'public';
  name: string;
  /** A partitioned parent is a table; its partitions are not listed. */
  kind: 'table' | 'view';
  /** In attnum order. */
  columns: readonly Column[];
}

interface FunctionArgument {
  name: string;
  type: string;
  hasDefault: boolean;
}

export interface FunctionSignature {
  schema: 'public';
  name: string;
  arguments: readonly FunctionArgument[];
  returnsSet: boolean;
  /** pg_type.typname of the result; `void` and `record` included. */
  returnType: string;
  /** The columns of a composite result (TABLE, OUT arguments, a row type); empty for a scalar. */
  columns: readonly Column[];
}

export interface Catalog {
  relation(name: string): Relation | undefined;
  /** Every overload of the name; none when there is no such function. */
  function(name: string): readonly FunctionSignature[];
  /** Reads the catalog again, at most once a second: a caller that comes earlier gets the last reading. */
  refresh(): Promise<void>;
}

/** A misspelt name in a client's loop asks for a refresh with every request; the database sees one a second. */
const MIN_REFRESH_INTERVAL_MS = 1_000;

export async function loadCatalog(pool: pg.Pool, now: () => number = Date.now): Promise<Catalog> {
  let contents = await readContents(pool);
  let lastRefreshAt = now();
  let running: Promise<void> | undefined;

  return {
    relation: (name) => contents.relations.get(name),
    function: (name) => contents.functions.get(name) ?? [],
    refresh() {
      if (running) return running;
      if (now() - lastRefreshAt < MIN_REFRESH_INTERVAL_MS) return Promise.resolve();
      lastRefreshAt = now();
      running = readContents(pool)
        .then((fresh) => {
          contents = fresh;
        })
        .finally(() => {
          running = undefined;
        });
      return running;
    },
  };
}

interface Contents {
  relations: ReadonlyMap<string, Relation>;
  functions: ReadonlyMap<string, readonly FunctionSignature[]>;
}

async function readContents(pool: pg.Pool): Promise<Contents> {
  const [relations, functions] = await Promise.all([
    pool.query<Omit<Relation, 'schema'>>(RELATIONS_SQL),
    pool.query<Omit<FunctionSignature, 'schema'>>(FUNCTIONS_SQL),
  ]);
  const overloads = new Map<string, FunctionSignature[]>();
  for (const row of functions.rows) {
    const signature: FunctionSignature = { schema: 'public', ...row };
    overloads.set(row.name, [...(overloads.get(row.name) ?? []), signature]);
  }
  return {
    relations: new Map(relations.rows.map((row) => [row.name, { schema: 'public', ...row }])),
    functions: overloads,
  };
}

// json_strip_nulls leaves `defaultExpression` out where there is none.
const RELATIONS_SQL = `
select c.relname::text as name,
       case when c.relkind in ('v', 'm') then 'view' else 'table' end as kind,
       coalesce(
         json_agg(
           json_strip_nulls(json_build_object(
             'name', a.attname,
             'type', ty.typname,
             'isPrimaryKey', coalesce(a.attnum = any (pk.indkey), false),
             'hasDefault', a.atthasdef or a.attidentity <> '',
             'nullable', not a.attnotnull,
             'defaultExpression', case when a.attgenerated = '' then pg_get_expr(d.adbin, d.adrelid) end))
           order by a.attnum)
         filter (where a.attnum is not null),
         '[]') as columns
  from pg_class c
  left join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
  left join pg_type ty on ty.oid = a.atttypid
  left join pg_index pk on pk.indrelid = c.oid and pk.indisprimary
  left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
 where c.relnamespace = 'public'::regnamespace
   and c.relkind in ('r', 'p', 'v', 'm', 'f')
   and not c.relispartition
 group by c.oid`;

// The last pronargdefaults input arguments have defaults. A composite result's columns are its TABLE and OUT
// arguments or, when it returns a row type, that type's attributes.
const FUNCTIONS_SQL = `
select p.proname::text as name,
       p.proretset as "returnsSet",
       rt.typname::text as "returnType",
       coalesce(
         (select json_agg(
                   json_build_object('name', coalesce(i.name, ''), 'type', i.type,
                                     'hasDefault', i.position > p.pronargs - p.pronargdefaults)
                   order by i.position)
            from (select a.name, ty.typname as type, row_number() over (order by a.position) as position
                    from unnest(coalesce(p.proallargtypes, p.proargtypes::oid[]), p.proargmodes, p.proargnames)
                         with ordinality as a (type, mode, name, position)
                    join pg_type ty on ty.oid = a.type
                   where coalesce(a.mode, 'i') in ('i', 'b', 'v')) as i),
         '[]') as arguments,
       coalesce(
         (select json_agg(
                   json_build_object('name', o.name, 'type', o.type, 'isPrimaryKey', false,
                                     'hasDefault', false, 'nullable', true)
                   order by o.position)
            from (select a.name, ty.typname as type, a.position
                    from unnest(p.proallargtypes, p.proargmodes, p.proargnames)
                         with ordinality as a (type, mode, name, position)
                    join pg_type ty on ty.oid = a.type
                   where a.mode in ('t', 'o', 'b') and rt.typname = 'record'
                  union all
                  select a.attname, ty.typname, a.attnum
                    from pg_attribute a
                    join pg_type ty on ty.oid = a.atttypid
                   where a.attrelid = rt.typrelid and rt.typrelid <> 0
                     and a.attnum > 0 and not a.attisdropped) as o),
         '[]') as columns
  from pg_proc p
  join pg_type rt on rt.oid = p.prorettype
 where p.pronamespace = 'public'::regnamespace
   and p.prokind = 'f'
   and rt.typname not in ('trigger', 'event_trigger')
 order by p.oid`;
