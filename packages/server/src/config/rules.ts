import type pg from 'pg';
import { StartupError } from '../startupError.ts';
import { asObject, type Fail, kindOf, unknownKey } from './check.ts';
import type { LoadedConfig } from './config.ts';

/** A row of `alert_rules`; what is left out is as in the default of that name, or as the table has it. */
export interface RuleConfig {
  /** Small letters, digits and underscores. */
  readonly name: string;
  /** Needed unless a default is changed. */
  readonly kind?: string;
  /** What the kind allows: docs/detection.md. */
  readonly condition?: Readonly<Record<string, unknown>>;
  readonly severity?: 'warning' | 'critical';
  readonly min_events?: number;
  readonly for_seconds?: number;
  readonly keep_firing_seconds?: number;
  readonly repeat_interval_seconds?: number;
  readonly enabled?: boolean;
}

const types: Readonly<Record<keyof RuleConfig, 'string' | 'number' | 'boolean' | 'object'>> = {
  name: 'string',
  kind: 'string',
  condition: 'object',
  severity: 'string',
  min_events: 'number',
  for_seconds: 'number',
  keep_firing_seconds: 'number',
  repeat_interval_seconds: 'number',
  enabled: 'boolean',
};
const words = { string: 'a text', number: 'a whole number', boolean: 'true or false', object: 'an object' };

/** The shape of rules; what their conditions may hold is for the database to say. */
export function checkRules(rules: unknown, fail: Fail): RuleConfig[] {
  if (!Array.isArray(rules)) return fail('rules', `must be a list, not ${kindOf(rules)}`);
  const places = new Map<unknown, number>();
  for (const [index, rule] of rules.entries()) {
    const place = `rules[${index}]`;
    const given = asObject(place, rule, fail);
    unknownKey(place, given, Object.keys(types), fail);
    if (given.name === undefined) fail(`${place}.name`, 'is missing');
    for (const [key, type] of Object.entries(types)) {
      const value = given[key];
      const isRight =
        type === 'number'
          ? Number.isInteger(value)
          : type === 'object'
            ? typeof value === 'object' && value !== null && !Array.isArray(value)
            : typeof value === type;
      if (value !== undefined && !isRight)
        fail(`${place}.${key}`, `must be ${words[type]}, not ${kindOf(value)}`);
    }
    if (given.severity !== undefined && !['warning', 'critical'].includes(given.severity as string))
      fail(`${place}.severity`, `must be warning or critical, not ${kindOf(given.severity)}`);
    const before = places.get(given.name);
    if (before !== undefined) fail(`${place}.name`, `is that of rules[${before}] too`);
    places.set(given.name, index);
  }
  return rules as RuleConfig[];
}

/**
 * Makes the table of rules say what the file says, all of it or nothing; without a file its rules go.
 *
 * @returns how many rules the file no longer names
 * @throws StartupError that names the place
 */
export async function applyRules(pool: pg.Pool, config: LoadedConfig | undefined): Promise<number> {
  const client = await pool.connect();
  try {
    await client.query('begin');
    for (const [index, rule] of (config?.rules ?? []).entries()) {
      try {
        await client.query('select nowcast.put_config_rule($1)', [rule]);
      } catch (error) {
        throw refused(config!.file, index, rule, error);
      }
    }
    const { rows } = await client.query<{ gone: number }>('select nowcast.drop_config_rules($1) as gone', [
      (config?.rules ?? []).map(({ name }) => name),
    ]);
    await client.query('commit');
    return rows[0]!.gone;
  } catch (error) {
    await client.query('rollback');
    throw error;
  } finally {
    client.release();
  }
}

/** The database's sentence with the place in the file; what is not about the rule stays what it is. */
function refused(file: string, index: number, { name, kind }: RuleConfig, error: unknown): unknown {
  const { code, constraint, message } = error as { code?: string; constraint?: string; message: string };
  const place = `${file}: rules[${index}]`;
  const end = (sentence: string) => new StartupError(sentence, 2, { cause: error });
  if (code === '23502' || (kind === undefined && code === '23514'))
    return end(`${place}.kind is missing: ${name} is not the name of a default rule.`);
  if (code !== '23514') return error;
  if (constraint === 'alert_rules_name_check')
    return end(
      `${place}.name must be small letters, digits and underscores, beginning with a letter, not "${name}".`,
    );
  const field = /^alert_rules_(.+)_check$/.exec(constraint ?? '')?.[1];
  if (field !== undefined) return end(`${place}.${field} is out of its range.`);
  return end(`${place}.${message.replace(/^alert rule \S+: /, '')}.`);
}
