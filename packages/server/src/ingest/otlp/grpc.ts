/**
 * OTLP over gRPC (https://opentelemetry.io/docs/specs/otlp/#otlpgrpc): each call becomes a request to our own HTTP door,
 * where keys, limits, storage and accounting are one and the same. Only its frame is read here
 * (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md).
 */
import { once } from 'node:events';
import http from 'node:http';
import http2, { type IncomingHttpHeaders, type ServerHttp2Stream } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { readStatusMessage } from './protobuf.ts';

const paths: ReadonlyMap<string | undefined, string> = new Map([
  ['/opentelemetry.proto.collector.trace.v1.TraceService/Export', '/v1/traces'],
  ['/opentelemetry.proto.collector.logs.v1.LogsService/Export', '/v1/logs'],
  ['/opentelemetry.proto.collector.metrics.v1.MetricsService/Export', '/v1/metrics'],
]);

/** Compressed or not, and the length of the message. */
const frameHeadBytes = 5;
const maxStreamsPerConnection = 100;
/** Clients say hello more often than this, or come again. */
const idleMs = 120_000;
/** For a whole call: exporters wait ten seconds. */
const callTimeoutMs = 30_000;
/** What decides about a request; the rest stays here. */
const passedHeaders = ['authorization', 'apikey', 'x-nowcast-client'] as const;

/** https://grpc.github.io/grpc/core/md_doc_statuscodes.html; exporters try again only what is unavailable. */
const grpcStatuses: Readonly<Record<number, number>> = {
  400: 3,
  401: 16,
  403: 7,
  404: 12,
  413: 8,
  415: 12,
  429: 14,
  503: 14,
};
const internal = 13;

export interface OtlpGrpcOptions {
  readonly host: string;
  readonly port: number;
  /** Our own HTTP door, such as `http://127.0.0.1:4318`. */
  readonly door: string;
  readonly maxBodyBytes: number;
  /** Of all messages that are being received together. */
  readonly maxReceivingBytes: number;
}

export interface OtlpGrpc {
  readonly port: number;
  close(): Promise<void>;
}

interface GrpcAnswer {
  readonly status: number;
  readonly message?: string;
  readonly body?: Buffer;
}

/** @throws the error of `listen` where the port is taken */
export async function listenOtlpGrpc(options: OtlpGrpcOptions): Promise<OtlpGrpc> {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 32 });
  const budget = { bytes: 0 };
  const sessions = new Set<http2.ServerHttp2Session>();
  const server = http2.createServer({ settings: { maxConcurrentStreams: maxStreamsPerConnection } });
  server.on('session', (session) => {
    sessions.add(session);
    session.setTimeout(idleMs, () => session.close());
    session.on('close', () => sessions.delete(session));
    // Whatever breaks a connection ends its calls, each of which answers for itself.
    session.on('error', () => session.destroy());
  });
  server.on('stream', (stream, headers) => {
    stream.setTimeout(callTimeoutMs, () => stream.close(http2.constants.NGHTTP2_CANCEL));
    // The client has gone: there is nobody to tell.
    stream.on('error', () => stream.destroy());
    take(stream, headers, options, agent, budget)
      .then((answer) => respond(stream, answer))
      // Closed while it was answered.
      .catch(() => stream.destroy());
  });
  server.listen(options.port, options.host);
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      // Calls under way are answered first; nobody may hold the server up.
      for (const session of sessions) session.close();
      const timer = setTimeout(() => {
        for (const session of sessions) session.destroy();
      }, 1_000);
      await closed;
      clearTimeout(timer);
      agent.destroy();
    },
  };
}

/** Never rejects: what fails is an answer too. */
async function take(
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  options: OtlpGrpcOptions,
  agent: http.Agent,
  budget: { bytes: number },
): Promise<GrpcAnswer> {
  const path = paths.get(headers[':path']);
  if (path === undefined || !headers['content-type']?.startsWith('application/grpc'))
    return {
      status: 12,
      message: `there is no ${headers[':path']}: OTLP's trace, logs and metrics services are`,
    };
  let received = 0;
  try {
    const parts: Buffer[] = [];
    // A stream that is refused half way still gets its answer.
    for await (const part of stream.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
      received += part.length;
      budget.bytes += part.length;
      if (received > options.maxBodyBytes + frameHeadBytes)
        return {
          status: 8,
          message: `a message may have ${options.maxBodyBytes} bytes (NOWCAST_MAX_BODY_BYTES)`,
        };
      if (budget.bytes > options.maxReceivingBytes)
        return { status: 14, message: 'too much is being received: try again' };
      parts.push(part);
    }
    const frame = Buffer.concat(parts);
    if (frame.length < frameHeadBytes || frame.readUInt32BE(1) !== frame.length - frameHeadBytes)
      return { status: 3, message: 'a call must hold one whole message' };
    const encoding = frame[0] === 1 ? headers['grpc-encoding']?.toString() : undefined;
    if (frame[0] === 1 && encoding !== 'gzip')
      return {
        status: 12,
        message: `messages may be compressed by gzip, got ${encoding ?? 'no grpc-encoding'}`,
      };
    return await forward(path, frame.subarray(frameHeadBytes), headers, encoding, options.door, agent);
  } catch (error) {
    return { status: internal, message: `the call broke off: ${(error as Error).message}` };
  } finally {
    budget.bytes -= received;
  }
}

async function forward(
  path: string,
  message: Buffer,
  headers: IncomingHttpHeaders,
  encoding: string | undefined,
  door: string,
  agent: http.Agent,
): Promise<GrpcAnswer> {
  const passed: Record<string, string | number> = {
    'content-type': 'application/x-protobuf',
    'content-length': message.length,
    // Without keys it decides whether the caller is of this machine.
    host: headers[':authority'] ?? '',
  };
  if (encoding !== undefined) passed['content-encoding'] = encoding;
  for (const name of passedHeaders) if (typeof headers[name] === 'string') passed[name] = headers[name];
  const request = http.request(door + path, { method: 'POST', headers: passed, agent });
  request.end(message);
  const [response] = (await once(request, 'response')) as [http.IncomingMessage];
  const parts: Buffer[] = [];
  for await (const part of response) parts.push(part as Buffer);
  const body = Buffer.concat(parts);
  const { statusCode = 500 } = response;
  if (statusCode === 200) return { status: 0, body };
  const isStatus = response.headers['content-type']?.includes('protobuf') === true;
  const text = isStatus ? readStatusMessage(body) : body.toString('utf8', 0, 500);
  return { status: grpcStatuses[statusCode] ?? internal, message: text };
}

function respond(stream: ServerHttp2Stream, { status, message, body }: GrpcAnswer): void {
  if (stream.destroyed || stream.closed) return;
  const trailers: Record<string, string> = { 'grpc-status': String(status) };
  if (message !== undefined) trailers['grpc-message'] = encodeURIComponent(message);
  const head = { ':status': 200, 'content-type': 'application/grpc+proto' };
  if (body === undefined) {
    stream.respond({ ...head, ...trailers }, { endStream: true });
    // The rest of a message that is refused is not waited for. Node 22 drops an answer that it has not sent by then.
    setImmediate(() => {
      if (!stream.readableEnded && !stream.destroyed) stream.close(http2.constants.NGHTTP2_NO_ERROR);
    });
    return;
  }
  stream.respond(head, { waitForTrailers: true });
  stream.on('wantTrailers', () => stream.sendTrailers(trailers));
  const frame = Buffer.alloc(frameHeadBytes);
  frame.writeUInt32BE(body.length, 1);
  stream.end(Buffer.concat([frame, body]));
}
