import { type Connection, isCutOff } from '../data/connection.ts';
import { latency } from '../data/format.ts';
import type { BrokenStage, Health } from '../data/health.ts';
import type { Level } from '../data/verdict.ts';

/** "Does the monitor itself work?", answered from what `GET /health` says. Pure. */

export interface Judgement {
  readonly level: Level;
  readonly sentence: string;
  readonly reasons: readonly string[];
}

export interface Evidence {
  readonly connection: Connection;
  readonly health: Health | undefined;
  readonly failed: boolean;
}

const broken: Record<BrokenStage, string> = {
  ingest: 'the server does not take events',
  store: 'events are not stored',
  feed: 'what is stored is not noticed',
  realtime: 'subscribers do not get what is stored',
};

export function judgeHealth({ connection, health, failed }: Evidence): Judgement {
  const cutOff = isCutOff(connection);
  if (cutOff || failed) {
    const why =
      connection.phase === 'offline'
        ? 'this device is offline'
        : cutOff
          ? 'the connection to Nowcast is lost'
          : 'its health could not be loaded';
    const reasons = health === undefined ? [] : [`Last known: ${judgeAnswer(health).sentence}`];
    return { level: 'unknown', sentence: `Cannot tell: ${why}.`, reasons };
  }
  return health === undefined
    ? { level: 'unknown', sentence: 'Looking …', reasons: [] }
    : judgeAnswer(health);
}

function judgeAnswer({ status, databaseConnected, message, canary }: Health): Judgement {
  const said = message === undefined ? [] : [sentenceOf(message)];
  if (!databaseConnected)
    return {
      level: 'bad',
      sentence: 'The monitor does not work: the database does not answer.',
      reasons: said,
    };
  if (canary.brokenStage !== null)
    return {
      level: 'bad',
      sentence: `The monitor does not work: ${broken[canary.brokenStage]}.`,
      reasons: said,
    };
  if (canary.status !== 'ok' || canary.latencyMs === null)
    return {
      level: 'waiting',
      sentence: 'Starting: the first test event is on its way.',
      reasons: said,
    };
  const sentence = `The monitor works: data is ${latency(canary.latencyMs)} old, measured end to end.`;
  if (status !== 'healthy') return { level: 'warning', sentence, reasons: said };
  const how = 'Every few seconds a test event goes the whole way, from the door to a subscribed socket.';
  return { level: 'good', sentence, reasons: [how, ...said] };
}

function sentenceOf(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
}
