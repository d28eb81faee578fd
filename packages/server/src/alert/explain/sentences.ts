import { formatDuration, formatNumber, formatPercent } from '../../process/detect/words.ts';
import type { Cause, Deployed, MetricName, Question } from '../explanation.ts';
import { type Attribution, type Dimension, isChange, type Sums } from './attribution.ts';
import type { Cells } from './cells.ts';

/** Plain words for somebody who was just woken: short, numbers with units. */

const subjects: Readonly<Record<MetricName, string>> = {
  error_rate: 'Error rate',
  latency: 'p95 latency',
  confidence: 'Mean confidence',
  quality: 'Mean quality',
  traffic: 'Traffic',
  tokens: 'Tokens a request',
  cost: 'Cost',
};

const dimensionNames: Readonly<Record<Cause['dimension'], string>> = {
  model_version: 'model',
  feature: 'feature',
  variant: 'variant',
  user_id: 'user',
  error_message: 'error',
  client: 'client',
};

/** What changed, by how much, since when, against which baseline. */
export function changeSentence(question: Question, cells: Cells | undefined): string {
  const { metric, since, baselineSince, baselineUntil } = question;
  const subject = `${subjects[metric]}${labelWords(question)}`;
  const when = `since ${clock(since, since)}`;
  const against = `${clock(baselineSince, since)} to ${clock(baselineUntil, since)}`;
  if (cells === undefined) return `${subject} changed ${when}; the figures took too long to read.`;
  const { value, baseline } = cells;
  if (value === null)
    return `${subject}: nothing to measure ${when}; ${amount(metric, baseline)} ${against}.`;
  if (baseline === null)
    return `${subject} is ${amount(metric, value)} ${when}; there is no baseline (${against}).`;
  return `${subject} is ${amount(metric, value)} instead of ${amount(metric, baseline)}${times(value, baseline)} ${when}, against ${against} (${formatDuration(baselineUntil.getTime() - baselineSince.getTime())}).`;
}

function labelWords({ labels }: Question): string {
  const of = [
    labels.model_version,
    labels.feature && `feature ${labels.feature}`,
    labels.client && `client ${labels.client}`,
  ];
  const named = of.filter((label) => label !== undefined && label !== '');
  return named.length === 0 ? '' : ` of ${named.join(', ')}`;
}

function times(value: number, baseline: number): string {
  if (!(baseline > 0) || value / baseline < 1.95) return '';
  return ` (${formatNumber(value / baseline)} times)`;
}

function amount(metric: MetricName, value: number | null): string {
  if (value === null) return 'nothing';
  const number = formatNumber(value);
  switch (metric) {
    case 'error_rate':
      return formatPercent(value / 100);
    case 'latency':
      return `${number} ms`;
    case 'traffic':
      return `${number} requests a minute`;
    case 'cost':
      return `${number} USD an hour`;
    default:
      return number;
  }
}

/** UTC, with the day where it is another one than the incident's. */
function clock(time: Date, incident: Date): string {
  const iso = time.toISOString();
  const day = iso.slice(0, 10);
  const seconds = time === incident && time.getUTCSeconds() !== 0 ? iso.slice(16, 19) : '';
  return `${day === incident.toISOString().slice(0, 10) ? '' : `${day} `}${iso.slice(11, 16)}${seconds}${time === incident ? ' UTC' : ''}`;
}

/** What explains most of it, or that nothing does, and which parts were not looked at. */
export function causeSentence(
  question: Question,
  dimensions: readonly Dimension[],
  attributions: readonly Attribution[],
  deployed: readonly Deployed[],
  leftOut: readonly string[],
): string {
  const skipped =
    leftOut.length === 0 ? '' : ` Not looked at, since it took too long: ${leftOut.join(', ')}.`;
  const [first, ...others] = attributions;
  if (first !== undefined) {
    const also = others.map(
      ({ dimension, value, share }) =>
        ` Also ${percentOf(share)} with ${dimensionNames[dimension]} ${quoted(dimension, value)}.`,
    );
    return `${sentenceOf(question, first, deployed)}${also.join('')}${skipped}`;
  }
  const names = dimensions.filter(({ valueCount }) => valueCount > 1).map(({ name }) => dimensionNames[name]);
  if (names.length === 0) return `There is nothing to tell events apart by.${skipped}`;
  if (!dimensions.some(isChange)) return `On the whole nothing changed by more than chance.${skipped}`;
  return `No single ${list(names, 'or')} explains most of it: it is much the same everywhere.${skipped}`;
}

export function sentenceOf(question: Question, cause: Attribution, deployed: readonly Deployed[]): string {
  const { dimension, value } = cause;
  const name = `${dimensionNames[dimension]} ${quoted(dimension, value)}`;
  const isNew = deployed.find((one) => one.what === dimension && one.value === value);
  const since =
    isNew === undefined ? '' : `, first seen at ${clock(new Date(isNew.first_seen_at), question.since)}`;
  const share = percentOf(cause.share);
  const of = `${share.charAt(0).toUpperCase()}${share.slice(1)} of ${changeWords(question.metric, cause)}`;
  if (dimension === 'error_message') {
    return `${of} say ${quoted(dimension, value)}${cause.before.sum === 0 ? ', which did not occur before' : ''}.`;
  }
  if (cause.measure.kind === 'volume')
    return `${of} ${from(cause)} ${name}${since}: ${volumes(question, cause)}.`;
  return `${of} ${from(cause)} ${name}${since}, which has ${percentOf(cause.trafficShare)} of the traffic: ${levels(question, cause)}.`;
}

const from = (cause: Attribution) => (cause.measure.kind === 'rate' ? 'come from' : 'is due to');

function changeWords(metric: MetricName, { before, after, measure, total }: Attribution): string {
  if (metric === 'error_rate') return 'the additional errors';
  if (metric === 'latency') return 'the additional slow calls';
  const rises =
    measure.kind === 'volume'
      ? total.after.sum > total.before.sum * measure.scale
      : mean(after) > mean(before) || (before.n === 0 && mean(total.after) > mean(total.before));
  return `the ${rises ? 'rise' : 'drop'}`;
}

function levels({ metric }: Question, { before, after }: Attribution): string {
  const was = before.n === 0 ? 'it was not there before' : undefined;
  if (metric === 'error_rate' || metric === 'latency') {
    const verb = metric === 'error_rate' ? 'fail' : 'are slow';
    return `${formatPercent(mean(after))} of its calls ${verb}, ${was ?? `${formatPercent(mean(before))} before`}`;
  }
  return `${amount(metric, mean(after))}, ${was ?? `${amount(metric, mean(before))} before`}`;
}

function volumes({ metric, since, until }: Question, { before, after, measure }: Attribution): string {
  const scale = measure.kind === 'volume' ? measure.scale : 1;
  const minutes = Math.max(1, (until.getTime() - since.getTime()) / 60_000);
  const unit = metric === 'cost' ? minutes / 60 : minutes;
  return `${amount(metric, after.sum / unit)} instead of ${amount(metric, (before.sum * scale) / unit)}`;
}

const mean = ({ n, sum }: Sums) => (n === 0 ? 0 : sum / n);

function percentOf(share: number): string {
  return share >= 0.995
    ? share > 1.005 || share === 1
      ? '100 %'
      : 'nearly 100 %'
    : `${Math.round(share * 100)} %`;
}

const quoted = (dimension: Cause['dimension'], value: string) =>
  dimension === 'error_message' ? `“${value.length > 100 ? `${value.slice(0, 99)}…` : value}”` : value;

function list(words: readonly string[], last: string): string {
  return words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} ${last} ${words.at(-1)}`;
}
