import type { AlertRule } from '../data/alertRule.ts';

/** The rule as a form holds it: everything that is typed is text until it is sent. Pure. */
export interface RuleForm {
  readonly rule: AlertRule;
  readonly values: Readonly<Record<string, string>>;
}

export interface FieldDescription {
  /** As the server names it: "condition.factor", "min_events". */
  readonly name: string;
  readonly label: string;
  readonly kind: 'number' | 'text' | 'list' | 'choice';
  readonly options?: readonly (readonly [string, string])[];
}

export const metricOptions = [
  ['requests_per_minute', 'Requests a minute'],
  ['error_rate_pct', 'Error rate, %'],
  ['avg_latency_ms', 'Mean latency, ms'],
  ['p50_latency_ms', 'p50 latency, ms'],
  ['p95_latency_ms', 'p95 latency, ms'],
  ['p99_latency_ms', 'p99 latency, ms'],
  ['avg_confidence', 'Confidence, 0 to 1'],
  ['avg_quality', 'Quality, 0 to 1'],
  ['tokens_per_request', 'Tokens a request'],
  ['cost_usd_per_hour', 'Cost, US dollars an hour'],
] as const;

const whole = [
  ['min_events', 'Fewest events that say something', 'minEvents'],
  ['for_seconds', 'Must hold for, s', 'forSeconds'],
  ['keep_firing_seconds', 'Calm before the end, s', 'keepFiringSeconds'],
  ['repeat_interval_seconds', 'Told again after, s', 'repeatIntervalSeconds'],
] as const;

export const newRule: AlertRule = {
  name: '',
  kind: 'threshold',
  condition: { metric: 'error_rate_pct', comparator: '>', value: 5, window_seconds: 300 },
  severity: 'warning',
  minEvents: 20,
  forSeconds: 0,
  keepFiringSeconds: 300,
  repeatIntervalSeconds: 3_600,
  enabled: true,
  source: 'user',
};

/** What can be edited, in the order of the form. */
export function fieldsOf(rule: AlertRule): readonly FieldDescription[] {
  const conditions = Object.entries(rule.condition).map(([key, value]): FieldDescription => {
    const common = { name: `condition.${key}`, label: labelOf(key) };
    if (rule.kind === 'threshold' && key === 'metric')
      return { ...common, kind: 'choice', options: metricOptions };
    if (key === 'comparator')
      return {
        ...common,
        kind: 'choice',
        options: ['>', '>=', '<', '<='].map((sign) => [sign, sign] as const),
      };
    if (typeof value === 'number') return { ...common, kind: 'number' };
    return { ...common, kind: typeof value === 'string' ? 'text' : 'list' };
  });
  return [...conditions, ...whole.map(([name, label]) => ({ name, label, kind: 'number' as const }))];
}

export function formOf(rule: AlertRule): RuleForm {
  const values: Record<string, string> = { name: rule.name, severity: rule.severity };
  for (const [key, value] of Object.entries(rule.condition))
    values[`condition.${key}`] = typeof value === 'string' ? value : JSON.stringify(value);
  for (const [name, , key] of whole) values[name] = String(rule[key]);
  return { rule, values };
}

/** @returns the rule, or which field holds what is no number or list */
export function ruleOf({
  rule,
  values,
}: RuleForm): AlertRule | { readonly field: string; readonly problem: string } {
  const condition: Record<string, unknown> = {};
  for (const { name, kind } of fieldsOf(rule)) {
    const text = (values[name] ?? '').trim();
    if (kind === 'number' && (text === '' || !Number.isFinite(Number(text))))
      return { field: name, problem: 'must be a number' };
    if (!name.startsWith('condition.')) continue;
    const key = name.slice('condition.'.length);
    if (kind === 'list') {
      const list = parse(text);
      if (list === undefined) return { field: name, problem: 'must be JSON, such as [5, 60]' };
      condition[key] = list;
    } else condition[key] = kind === 'number' ? Number(text) : text;
  }
  return {
    ...rule,
    name: values.name ?? rule.name,
    severity: values.severity === 'critical' ? 'critical' : 'warning',
    condition,
    minEvents: Number(values.min_events),
    forSeconds: Number(values.for_seconds),
    keepFiringSeconds: Number(values.keep_firing_seconds),
    repeatIntervalSeconds: Number(values.repeat_interval_seconds),
  };
}

/** Which field a complaint of the server's is about: it names it. */
export function fieldIn(problem: string, fields: readonly string[]): string | undefined {
  return [...fields]
    .sort((a, b) => b.length - a.length)
    .find((name) => new RegExp(`(^|[^a-z_.])${name.replace('.', '\\.')}($|[^a-z_])`).test(problem));
}

/** What the rule below would not make words of. */
const labels: Readonly<Record<string, string>> = {
  burn_rate: 'Burn rate, times its pace',
  long_seconds: 'Long window, s',
  short_seconds: 'Short window, s',
  budget: 'False alarms',
};

/** min_silence_seconds → Min silence, s */
function labelOf(key: string): string {
  const known = labels[key];
  if (known !== undefined) return known;
  const words = key
    .replace(/_seconds$/, ', s')
    .replace(/_ms$/, ', ms')
    .replace(/_pct$/, ', %')
    .replaceAll('_', ' ');
  return words.charAt(0).toUpperCase() + words.slice(1);
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
