import type pg from 'pg';
import { describeKind } from '../../ingest/httpError.ts';
import type { Rule } from '../judge.ts';

/** A rule to be tried that cannot be: the field at fault, and the rule it breaks in one sentence. */
export class InvalidRule extends Error {
  override name = 'InvalidRule';
  readonly field: string;

  constructor(field: string, message: string) {
    super(message);
    this.field = field;
  }
}

/** The rule to be tried, and the one of this name that is in force, where the two differ. */
export interface Candidate {
  readonly rule: Rule;
  readonly current: Rule | undefined;
}

interface RuleFields {
  readonly name: string;
  readonly kind: string;
  readonly condition: Record<string, unknown>;
  readonly severity: 'warning' | 'critical';
  readonly min_events: number;
  readonly for_seconds: number;
  readonly keep_firing_seconds: number;
}

/** Of a rule that is in no table yet. */
const defaults = {
  condition: {},
  severity: 'warning',
  min_events: 0,
  for_seconds: 0,
  keep_firing_seconds: 300,
} as const;

/** Whole numbers and their bounds, as the table has them. */
const wholeNumbers = {
  min_events: 2_147_483_647,
  for_seconds: 86_400,
  keep_firing_seconds: 86_400,
} as const;

const fields = ['name', 'kind', 'condition', 'severity', ...Object.keys(wholeNumbers)];
/** In the table too, and without meaning here. */
const ignored = ['repeat_interval_seconds', 'enabled', 'version', 'source', 'updated_at'];

const unreplayable: Readonly<Record<string, string>> = {
  event_latency: 'judges single events while they are stored; the history holds no such moments',
  monitor: 'judges Nowcast itself; its history is not kept',
};

/**
 * @param given name of a rule in the table, with what is to be changed of it; or a whole rule
 * @throws InvalidRule
 */
export async function candidateOf(db: pg.Pool | pg.ClientBase, given: unknown): Promise<Candidate> {
  const asked = checkShape(given);
  const stored = asked.name === undefined ? undefined : await storedRule(db, asked.name);
  if (stored === undefined && asked.kind === undefined) {
    throw asked.name === undefined
      ? new InvalidRule('kind', 'a rule needs a kind, or the name of a rule that exists')
      : new InvalidRule('name', `there is no rule "${asked.name}"${await otherRules(db)}`);
  }
  const merged: RuleFields = { name: 'tried', kind: '', ...defaults, ...stored, ...asked };
  const reason = unreplayable[merged.kind];
  if (reason !== undefined)
    throw new InvalidRule('kind', `rules of kind ${merged.kind} cannot be replayed: it ${reason}`);
  const { rows } = await db.query<{ broken: string | null }>(
    'select nowcast.broken_alert_rule(jsonb_populate_record(null::public.alert_rules, $1)) as broken',
    [JSON.stringify(merged)],
  );
  const { broken } = rows[0]!;
  if (broken !== null) throw new InvalidRule(/^[a-z_.]+/.exec(broken)?.[0] ?? 'condition', broken);
  const isChange = stored !== undefined && !same(stored, merged);
  return { rule: ruleOf(merged), current: isChange ? ruleOf(stored) : undefined };
}

function checkShape(given: unknown): Partial<RuleFields> {
  if (typeof given !== 'object' || given === null || Array.isArray(given))
    throw new InvalidRule('rule', `rule must be a JSON object, got ${describeKind(given)}`);
  const rule = given as Record<string, unknown>;
  for (const key of Object.keys(rule)) {
    if (!fields.includes(key) && !ignored.includes(key))
      throw new InvalidRule(key, `a rule has no field "${key}"; it may hold ${fields.join(', ')}`);
  }
  for (const key of ['name', 'kind'] as const) {
    if (rule[key] !== undefined && typeof rule[key] !== 'string')
      throw new InvalidRule(key, `${key} must be a string, got ${describeKind(rule[key])}`);
  }
  const { condition, severity } = rule;
  if (
    condition !== undefined &&
    (typeof condition !== 'object' || condition === null || Array.isArray(condition))
  )
    throw new InvalidRule('condition', `condition must be a JSON object, got ${describeKind(condition)}`);
  if (severity !== undefined && severity !== 'warning' && severity !== 'critical')
    throw new InvalidRule(
      'severity',
      `severity must be warning or critical, got ${JSON.stringify(severity)}`,
    );
  for (const [key, most] of Object.entries(wholeNumbers)) {
    const value = rule[key];
    if (
      value === undefined ||
      (Number.isInteger(value) && (value as number) >= 0 && (value as number) <= most)
    )
      continue;
    const got = typeof value === 'number' ? String(value) : describeKind(value);
    throw new InvalidRule(key, `${key} must be a whole number from 0 to ${most}, got ${got}`);
  }
  return Object.fromEntries(
    Object.entries(rule).filter(([key, value]) => fields.includes(key) && value !== undefined),
  );
}

async function storedRule(db: pg.Pool | pg.ClientBase, name: string): Promise<RuleFields | undefined> {
  const { rows } = await db.query<RuleFields & pg.QueryResultRow>(
    `select name, kind, condition, severity, min_events, for_seconds, keep_firing_seconds
     from public.alert_rules where name = $1`,
    [name],
  );
  return rows[0];
}

async function otherRules(db: pg.Pool | pg.ClientBase): Promise<string> {
  const { rows } = await db.query<{ names: string | null }>(
    `select string_agg(name, ', ' order by name) as names from public.alert_rules where kind <> all ($1)`,
    [Object.keys(unreplayable)],
  );
  const { names } = rows[0]!;
  return names === null ? '' : `; there are ${names}`;
}

function ruleOf(row: RuleFields): Rule {
  return {
    name: row.name,
    kind: row.kind,
    condition: row.condition,
    severity: row.severity,
    minEvents: row.min_events,
    forMs: row.for_seconds * 1000,
    keepFiringMs: row.keep_firing_seconds * 1000,
    version: 0,
  };
}

function same(a: RuleFields, b: RuleFields): boolean {
  const sorted = (value: unknown): unknown =>
    typeof value !== 'object' || value === null || Array.isArray(value)
      ? value
      : Object.fromEntries(
          Object.entries(value)
            .sort(([x], [y]) => (x < y ? -1 : 1))
            .map(([key, each]) => [key, sorted(each)]),
        );
  return JSON.stringify(sorted(a)) === JSON.stringify(sorted({ ...b }));
}
