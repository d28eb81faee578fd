import { expect, test } from 'vitest';
import type { Alert } from '../src/data/alerts.ts';
import type { Connection, Phase } from '../src/data/connection.ts';
import { type Evidence, judge } from '../src/data/verdict.ts';
import { bucket, minute } from './support/bucket.ts';

const now = Date.UTC(2026, 5, 1, 3, 30, 20);
const thisMinute = now - 20_000;

const connection = (phase: Phase): Connection => ({
  phase,
  currentUntil: now,
  everLive: true,
  opening: false,
});

function evidence(differences: Partial<Evidence> = {}): Evidence {
  return {
    now,
    connection: connection('live'),
    failures: {},
    minutes: [bucket({ start: thisMinute - minute }), bucket({ start: thisMinute })],
    alerts: [],
    newestEventAt: now - 500,
    isBlind: false,
    ...differences,
  };
}

const alert = (differences: Partial<Alert> = {}): Alert => ({
  id: 1,
  at: now - 3 * minute,
  severity: 'warning',
  type: 'high_latency',
  message: 'Inference latency spike: 9000ms (avg: 100ms)',
  model: 'v1',
  acknowledged: false,
  firing: true,
  silenced: false,
  incidentId: null,
  ...differences,
});

test('traffic without errors and alerts is working, and says what that is based on', () => {
  const { level, sentence, reasons } = judge(evidence());
  expect([level, sentence]).toEqual(['good', 'Yes, it is working.']);
  expect(reasons[0]!.text).toBe(
    '1 model version answered 200 requests in the last 5 minutes, 0 % with an error. No open alert.',
  );
});

test('before the first event it waits; silence for five minutes is said with its length', () => {
  expect(judge(evidence({ newestEventAt: null, minutes: [] })).level).toBe('waiting');
  expect(judge(evidence({ newestEventAt: now - 4 * minute })).level).toBe('good');
  const silent = judge(evidence({ newestEventAt: now - 12 * minute, minutes: [] }));
  expect(silent).toMatchObject({ level: 'warning', sentence: 'Nothing is coming in.' });
  expect(silent.reasons[0]).toMatchObject({ text: 'No event for 12 min.', since: now - 12 * minute });
});

test('silence that an alert tells is not told twice, unless that alert is about one model of several', () => {
  const ids = (alerts: Alert[], ...models: string[]) =>
    judge(
      evidence({
        newestEventAt: now - 12 * minute,
        minutes: models.map((model) => bucket({ start: thisMinute - 12 * minute, model })),
        alerts,
      }),
    ).reasons.map(({ id }) => id);
  const about = (model: string | undefined) => alert({ type: 'no_data', severity: 'critical', model });
  expect(ids([about(undefined)], 'v1', 'v2')).toEqual(['alert 1']);
  expect(ids([about('v1')], 'v1')).toEqual(['alert 1']);
  expect(ids([about('v1')], 'v1', 'v2')).toEqual(['alert 1', 'silent']);
  expect(ids([], 'v1')).toEqual(['silent']);
});

test('a model that fails is named with its rate and since when', () => {
  const minutes = [
    ...[5, 4].map((ago) => bucket({ start: thisMinute - ago * minute, model: 'v2' })),
    ...[3, 2, 1].map((ago) => bucket({ start: thisMinute - ago * minute, model: 'v2', errors: 30 })),
    // Too few yet to end the run.
    bucket({ start: thisMinute, model: 'v2', requests: 3 }),
    bucket({ start: thisMinute, model: 'v1' }),
  ];
  const { level, reasons } = judge(evidence({ minutes }));
  expect(level).toBe('bad');
  expect(reasons).toHaveLength(1);
  expect(reasons[0]).toMatchObject({ model: 'v2', since: thisMinute - 3 * minute });
  expect(reasons[0]!.text).toBe('22.3 % of the requests to v2 failed in the last 5 minutes (90 of 403).');
});

test('failures that ended a moment ago are told with their end', () => {
  const minutes = [
    bucket({ start: thisMinute - 4 * minute, model: 'v2' }),
    ...[3, 2].map((ago) => bucket({ start: thisMinute - ago * minute, model: 'v2', errors: 30 })),
    ...[1, 0].map((ago) => bucket({ start: thisMinute - ago * minute, model: 'v2' })),
  ];
  const { level, reasons } = judge(evidence({ minutes }));
  expect(level).toBe('warning');
  expect(reasons).toMatchObject([
    { model: 'v2', since: thisMinute - 3 * minute, until: thisMinute - minute },
  ]);
});

test('a few failures of a few requests are no verdict', () => {
  const minutes = [bucket({ start: thisMinute, requests: 19, errors: 19 })];
  expect(judge(evidence({ minutes })).level).toBe('good');
});

test('open alerts are reasons, critical ones first and worse', () => {
  expect(judge(evidence({ alerts: [alert()] }))).toMatchObject({
    level: 'warning',
    sentence: 'It works, but not as it should.',
  });
  const critical = alert({ id: 2, severity: 'critical', message: 'down' });
  const verdict = judge(evidence({ alerts: [alert(), critical] }));
  expect(verdict.level).toBe('bad');
  expect(verdict.reasons.map(({ text }) => text)).toEqual(['down', alert().message]);
});

test('a failure and the alerts about it are one reason, with its newest figures and the way to its cause', () => {
  const minutes = [1, 0].map((ago) => bucket({ start: thisMinute - ago * minute, model: 'v2', errors: 10 }));
  const about = { type: 'error_rate', model: 'v2', severity: 'critical', incidentId: 7 } as const;
  const alerts = [
    alert({ ...about, id: 1, message: 'error budget' }),
    alert({ ...about, id: 2, message: 'failed in the last 10 s' }),
    alert({ ...about, id: 3, message: 'another one', model: 'v1', incidentId: 8 }),
    alert({ id: 4, message: 'slow', model: 'v2', incidentId: 7 }),
  ];
  expect(judge(evidence({ minutes })).level).toBe('warning');
  const { level, reasons } = judge(evidence({ minutes, alerts }));
  expect(level).toBe('bad');
  expect(reasons).toMatchObject([
    { id: 'errors v2', level: 'bad', incidentId: 7 },
    { text: 'another one', incidentId: 8 },
    { text: 'slow', incidentId: 7 },
  ]);
  expect(reasons[0]!.text).toMatch(/^10 % of the requests to v2 failed in the last 5 minutes/);
});

test('alerts of one incident are one reason: its gravest, oldest, since the first of them', () => {
  const { reasons } = judge(
    evidence({
      alerts: [
        alert({ id: 4, message: 'grave and late', severity: 'critical', at: now - minute, incidentId: 7 }),
        alert({ id: 3, message: 'grave', severity: 'critical', at: now - 2 * minute, incidentId: 7 }),
        alert({ id: 2, message: 'first', at: now - 3 * minute, incidentId: 7 }),
        alert({ id: 1, message: 'of no incident' }),
      ],
    }),
  );
  expect(reasons.map(({ text, others, since }) => [text, others, since])).toEqual([
    ['grave', 2, now - 3 * minute],
    ['of no incident', undefined, now - 3 * minute],
  ]);
});

test('a page that is cut off never says that all is well, only what it knew last', () => {
  for (const phase of ['reconnecting', 'offline'] as const) {
    const { level, reasons } = judge(evidence({ connection: connection(phase) }));
    expect(level).toBe('unknown');
    expect(reasons[0]!.text).toBe('Last known: Yes, it is working.');
  }
});

test('a server whose database does not answer cannot tell that all is well either', () => {
  const { level, sentence, reasons } = judge(evidence({ isBlind: true }));
  expect([level, sentence]).toEqual(['unknown', 'Cannot tell: the database of Nowcast does not answer.']);
  expect(reasons[0]!.text).toBe('Last known: Yes, it is working.');
  expect(judge(evidence({ isBlind: true, newestEventAt: undefined })).sentence).toBe(sentence);
  // What is not heard of any more says nothing.
  expect(judge(evidence({ isBlind: true, connection: connection('reconnecting') })).reasons[0]!.text).toBe(
    'Last known: Yes, it is working.',
  );
});

test('figures or alerts that could not be loaded are no good news', () => {
  const error = Object.assign(new Error('no'), { status: 500 }) as never;
  expect(judge(evidence({ newestEventAt: undefined, failures: { metrics: error } })).level).toBe('unknown');
  expect(judge(evidence({ alerts: undefined, failures: { alerts: error } })).level).toBe('warning');
});
