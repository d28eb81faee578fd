/**
 * The load of an OpenTelemetry exporter: batches of spans in protobuf, as instrumentations send them, prompts
 * included. Each connection keeps one request in flight; each request has trace ids of its own, since Nowcast stores
 * one that is repeated byte for byte once.
 */
import { monotonicMs, sleep } from './clock.ts';
import { type Answer, HttpConnection } from './http-connection.ts';
import { makeSpanBatch, type SpanBatch } from './otlp-spans.ts';
import { serveTask, type TaskSide } from './task.ts';

export interface OtlpLoad {
  port: number;
  connections: number;
  spansPerRequest: number;
  warmUpMs: number;
  measureMs: number;
}

export interface OtlpLoadResult {
  seconds: number;
  /** Acknowledged spans a second in the measured window. */
  eventsPerSecond: number;
  /** Spans acknowledged over the whole run, warm-up included. */
  acknowledged: number;
}

const DRAIN_LIMIT_MS = 10_000;

serveTask<OtlpLoad, OtlpLoadResult>(run);

async function run(load: OtlpLoad, side: TaskSide): Promise<OtlpLoadResult> {
  let acknowledged = 0;
  let inFlight = 0;
  let stopped = false;
  let failure: string | undefined;
  const batches = new Map<HttpConnection, SpanBatch>();
  const send = (connection: HttpConnection) => {
    const { request, stamp } = batches.get(connection)!;
    stamp();
    inFlight += 1;
    connection.send(request);
  };
  const onAnswer = (connection: HttpConnection, answer: Answer) => {
    inFlight -= 1;
    if (answer.ok) acknowledged += load.spansPerRequest;
    else failure ??= answer.text;
    if (!stopped && failure === undefined) send(connection);
  };
  // A partial success has a body.
  const judge = (status: number, body: string) => status === 200 && body === '';
  const connections = await Promise.all(
    Array.from({ length: load.connections }, () =>
      HttpConnection.open(load.port, judge, onAnswer, (reason) => {
        failure ??= reason;
      }),
    ),
  );
  for (const connection of connections) {
    batches.set(connection, makeSpanBatch(load.port, load.spansPerRequest));
    send(connection);
  }
  await sleep(load.warmUpMs);
  side.window('open');
  const [openedAtMs, before] = [monotonicMs(), acknowledged];
  await sleep(load.measureMs);
  const seconds = (monotonicMs() - openedAtMs) / 1000;
  const eventsPerSecond = (acknowledged - before) / seconds;
  side.window('close');
  stopped = true;
  const drainedBy = monotonicMs() + DRAIN_LIMIT_MS;
  while (inFlight > 0 && failure === undefined && monotonicMs() < drainedBy) await sleep(5);
  for (const connection of connections) connection.close();
  if (failure !== undefined || inFlight > 0) {
    throw new Error(`a request was not stored: ${failure ?? 'no answer came'}`);
  }
  return { seconds, eventsPerSecond, acknowledged };
}
