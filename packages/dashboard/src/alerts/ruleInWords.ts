import type { AlertRule } from '../data/alertRule.ts';
import { count, duration, percent } from '../data/format.ts';
import { metricOptions } from './ruleForm.ts';

/** The condition's values; what was read of them is not told a second time. */
class Condition {
  readonly #values: AlertRule['condition'];
  readonly #read = new Set<string>();

  constructor(values: AlertRule['condition']) {
    this.#values = values;
  }

  /** Empty where the rule leaves it to the server. */
  tell(key: string, words: (value: number) => string): string {
    const value = this.#values[key];
    if (typeof value !== 'number') return '';
    this.#read.add(key);
    return words(value);
  }

  text(key: string): string {
    this.#read.add(key);
    return String(this.#values[key] ?? '');
  }

  rest(): readonly string[] {
    return Object.entries(this.#values)
      .filter(([key]) => !this.#read.has(key))
      .map(
        ([key, value]) =>
          `${key.replaceAll('_', ' ')} ${typeof value === 'object' ? JSON.stringify(value) : String(value)}`,
      );
  }
}

const span = (seconds: number) => (seconds === 3_600 ? '1 h' : duration(seconds * 1_000));
const share = (value: number) => percent(100 * value);
const window = (condition: Condition) =>
  condition.tell('window_seconds', (seconds) => ` over ${span(seconds)}`);
const expected = (condition: Condition) =>
  condition.tell('expected_events', (events) => `, where ${count(events)} events were to be expected`);

/** By kind; one that this page does not know is told by its values. */
const sentences: Readonly<Record<string, (condition: Condition) => string>> = {
  event_latency: () => 'one inference takes longer than 5 s and three times the average of the last 5 min',
  error_failure: (condition) =>
    `far more events fail than is usual, within seconds${condition.tell('min_error_rate', (rate) => `; at least ${share(rate)}`)}`,
  error_burn: (condition) =>
    `the error budget burns at ${condition.tell('burn_rate', (rate) => `${rate}× `)}its pace, over ${condition.tell('long_seconds', span)} and over ${condition.tell('short_seconds', span)}${condition.tell('objective', (objective) => `; the objective is ${share(objective)}`)}`,
  latency: (condition) =>
    `p95 latency${window(condition)} is ${condition.tell('factor', (factor) => `${factor} times the usual one`)}${condition.tell('min_difference_ms', (ms) => `, and ${count(ms)} ms above it`)}`,
  metric_drop: (condition) =>
    `mean ${condition.text('metric')}${window(condition)} lies below the usual one${condition.tell('min_relative_change', (change) => ` by ${share(change)}`)}`,
  traffic_stopped: (condition) =>
    `no event comes${condition.tell('min_silence_seconds', (seconds) => ` for ${span(seconds)}`)}${expected(condition)}`,
  traffic_collapsed: (condition) =>
    `only ${condition.tell('remaining_share', (left) => `${share(left)} or `)}less of the usual traffic comes${expected(condition)}`,
  client_silent: (condition) =>
    `one sender is silent${condition.tell('min_silence_seconds', (seconds) => ` for ${span(seconds)}`)} while others go on${expected(condition)}`,
  monitor: () => 'Nowcast itself does not work as it should',
  anomaly: (condition) =>
    `a figure leaves its own pattern${condition.tell('min_relative_change', (change) => ` by ${share(change)}`)}; false alarms: ${condition.text('budget') || 'as the server has it'}`,
  threshold: (condition) => {
    const metric = condition.text('metric');
    const label = metricOptions.find(([name]) => name === metric)?.[1] ?? metric;
    return `${label}${window(condition)} ${condition.text('comparator')} ${condition.tell('value', String)}`;
  },
};

/** When the rule fires, in a sentence without its stop. Pure. */
export function ruleInWords({ kind, condition }: Pick<AlertRule, 'kind' | 'condition'>): string {
  const values = new Condition(condition);
  const sentence = sentences[kind]?.(values);
  const parts = [...(sentence === undefined ? [] : [sentence]), ...values.rest()];
  return parts.length === 0 ? kind.replaceAll('_', ' ') : parts.join('; ');
}
