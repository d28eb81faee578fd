import { bytes, duration, latency, percent } from '../data/format.ts';
import type { Health } from '../data/health.ts';
import type { Level } from '../data/verdict.ts';

/** What `GET /health` says of each part of an event's way. Pure. */

export interface Stage {
  readonly name: 'Ingest' | 'Store' | 'Process' | 'Deliver';
  readonly does: string;
  readonly level: Level;
  readonly word: string;
  readonly facts: readonly Fact[];
}

interface Fact {
  readonly label: string;
  readonly value: string;
}

type State = Pick<Stage, 'level' | 'word'>;

const working: State = { level: 'good', word: 'Working' };
const broken: State = { level: 'bad', word: 'Broken' };
const unmeasured: State = { level: 'waiting', word: 'Not measured yet' };

const waitsFor = (stage: string): State => ({ level: 'unknown', word: `Waits for ${stage}` });

export function stagesOf(health: Health): readonly Stage[] {
  const { databaseConnected, canary, lastEventAgeSeconds, pendingBytes, feedLagSeconds, disk } = health;
  const measured = canary.status === 'starting' ? unmeasured : working;
  const takes = canary.brokenStage !== 'ingest';
  const stores = databaseConnected && canary.brokenStage !== 'store';
  const behindIngest = takes ? undefined : waitsFor('Ingest');
  const behindStore = stores ? behindIngest : waitsFor('Store');
  return [
    {
      name: 'Ingest',
      does: 'Takes and checks events. A request is answered once its events are stored.',
      ...(takes ? (stores ? working : { level: 'warning', word: 'Waits for Store' }) : broken),
      facts: [
        { label: 'Queue', value: 'none, waits in Store' },
        {
          label: 'Newest event',
          value: lastEventAgeSeconds === null ? 'none yet' : `${duration(lastEventAgeSeconds * 1_000)} ago`,
        },
      ],
    },
    {
      name: 'Store',
      does: 'Commits events to PostgreSQL, in groups.',
      ...(stores ? (behindIngest ?? measured) : broken),
      facts: [
        { label: 'Queue', value: `${bytes(pendingBytes)} not stored yet` },
        ...(disk === undefined
          ? []
          : [{ label: 'Disk', value: `${bytes(disk.freeBytes)} free (${percent(disk.freePct)})` }]),
      ],
    },
    {
      name: 'Process',
      does: 'Sums up minutes and checks latency in the transaction that stores.',
      ...(behindStore ?? measured),
      facts: [
        { label: 'Queue', value: 'none' },
        { label: 'Lag', value: 'none, same transaction' },
      ],
    },
    {
      name: 'Deliver',
      does: 'Follows what is stored and pushes it to subscribers.',
      ...(behindStore ?? (canary.brokenStage === null ? measured : broken)),
      facts: [
        { label: 'Lag', value: feedLagSeconds === 0 ? 'none' : latency(feedLagSeconds * 1_000) },
        {
          label: 'End to end',
          value: canary.latencyMs === null ? '–' : `${latency(canary.latencyMs)}${ageOf(canary.ageSeconds)}`,
        },
      ],
    },
  ];
}

function ageOf(seconds: number | null): string {
  return seconds === null ? '' : `, ${duration(seconds * 1_000)} ago`;
}
