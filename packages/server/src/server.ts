import { existsSync } from 'node:fs';
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import cors from '@fastify/cors';
import fastifyStatic from '@fastify/static';
import Fastify, { type FastifyInstance } from 'fastify';
import { pino } from 'pino';
import { Access, type KeyScope, keyOf } from './access.ts';
import { loadCatalog } from './deliver/catalog.ts';
import { Feed } from './deliver/feed.ts';
import { publish, type Scope } from './deliver/published.ts';
import { Pulse } from './deliver/pulse.ts';
import { registerRealtime } from './deliver/realtime/hub.ts';
import { corsHeaders } from './deliver/rest/cors.ts';
import { registerRest } from './deliver/rest/routes.ts';
import { RowMemory } from './deliver/rowMemory.ts';
import { registerHealth } from './health/health.ts';
import { HttpError } from './ingest/httpError.ts';
import { Intake } from './ingest/intake.ts';
import { assertLoopback, isLoopbackHost, isLoopbackOrigin, refuseStrangers } from './ingest/loopbackOnly.ts';
import { quickPath } from './ingest/quickPath.ts';
import { registerIngest } from './ingest/routes.ts';
import { Compactor } from './process/compactor.ts';
import { loadEdges } from './process/histogram.ts';
import type { Settings } from './settings.ts';
import { Housekeeping } from './store/housekeeping.ts';
import { IdPool } from './store/idPool.ts';
import { Partitions } from './store/partitions.ts';
import { openStore } from './store/store.ts';
import { Writer } from './store/writer.ts';
import { WriterConnection } from './store/writerConnection.ts';

const dashboardRoot = fileURLToPath(new URL('../../dashboard/dist/', import.meta.url));
/** Long `in` filters of supabase-js go into the URL. */
const maxHeaderBytes = 64 * 1024;
const maxSettleMs = 2_000;

/**
 * The whole of Nowcast in one process: an event comes in at the top and leaves at the bottom.
 *
 * @throws StartupError with one sentence for everything a person can change
 */
export async function startServer(settings: Settings): Promise<{ url: string; close(): Promise<void> }> {
  const log = pino({ level: settings.logLevel }, pino.destination({ fd: 2, sync: false }));
  const access = new Access(settings);
  const store = await openStore(settings, log);
  const closers: (() => Promise<unknown>)[] = [() => store.close()];
  // Backwards: what was opened last depends on what was opened first.
  const close = async () => {
    for (const closer of closers.splice(0).reverse()) {
      await closer().catch((error: unknown) => log.error({ err: error }, 'stopping'));
    }
  };
  try {
    // The hot path is known once the intake is; until then everything takes the ordinary way.
    let quick: ReturnType<typeof quickPath> | undefined;
    const app = makeApp(settings, access, (request, response) => quick?.(request, response) ?? false);
    closers.push(() => app.close());
    const { url, pool } = store;
    const [edges, catalog] = await Promise.all([loadEdges(pool), loadCatalog(pool)]);

    // Deliver: what was committed finds its readers. Made first, since everything before it feeds it.
    const publication = publish();
    const hub = registerRealtime(app.server, {
      catalog,
      scopeOf: (key) => readScope(access.scopeOf(key)),
      readableColumns: (scope, relation) =>
        publication.readableColumns(scope, relation).map(({ name }) => name),
      originAllowed: ({ headers }) =>
        !access.open || (isLoopbackHost(headers.host) && isLoopbackOrigin(headers.origin)),
      // A database that is away must not keep subscribers out: they are served when it is back.
      settle: () => Promise.race([feed.catchUp(), delay(maxSettleMs, undefined, { ref: false })]),
      onError: (error) => log.error({ err: error }, 'realtime'),
    });
    closers.push(() => hub.close());
    const memory = new RowMemory();
    const pulse = new Pulse(pool, log, () => hub.subscriberCount('metrics_pulse') > 0);
    closers.push(() => pulse.stop());
    const compactor = new Compactor(pool, log);
    closers.push(() => compactor.stop());
    const feed = new Feed({
      url,
      pool,
      catalog,
      hub,
      memory,
      log,
      onEvents: (since, until) => {
        pulse.eventsChanged(since, until);
        compactor.wake();
      },
    });
    closers.push(() => feed.stop());
    hub.onSubscriptionsChanged((table, count) => {
      if (table === 'metrics_pulse' && count === 1) pulse.watchBegan();
    });

    // Store: one connection writes in groups.
    const partitions = new Partitions(pool);
    const writer = new Writer({
      connection: new WriterConnection(url),
      partitions,
      edges,
      maxPendingBytes: settings.maxPendingBytes,
      onCommitted: (token, rows) => {
        if (hub.subscriberCount('inference_logs') > 0) memory.keep(token, rows);
      },
    });
    closers.push(() => writer.close());

    // Ingest: the doors.
    const intake = new Intake(writer, new IdPool(pool), partitions, settings.hotDays);
    quick = quickPath({ intake, log, assertMayWrite: (request) => assertMayWrite(access, request.headers) });
    registerIngest(app, { intake, log, senderOf: ({ headers }) => access.senderOf(keyOf(headers)) });
    registerRest(app, {
      pool,
      catalog,
      publication,
      scopeOf: ({ headers }) => readScope(access.scopeOf(keyOf(headers))),
    });
    registerHealth(app, {
      pool,
      pendingBytes: () => writer.pendingBytes,
      feedLagSeconds: () => feed.lagSeconds,
    });
    await registerDashboard(app);

    await partitions.ensureAround(Date.now() * 1000, 1);
    await feed.start();
    // Whatever was not compacted before the last stop.
    compactor.wake();
    const housekeeping = new Housekeeping(pool, partitions, settings.hotDays, log);
    closers.push(() => housekeeping.stop());

    await app.listen({ host: settings.host, port: settings.port });
    // Refuse new requests first, then let what was accepted be committed.
    closers.push(async () => app.server.closeIdleConnections());
    return { url: addressOf(app, settings), close };
  } catch (error) {
    await close();
    throw error;
  }
}

function makeApp(
  settings: Settings,
  access: Access,
  takesQuickly: (request: IncomingMessage, response: ServerResponse) => boolean,
): FastifyInstance {
  const app = Fastify({
    serverFactory: (handler) =>
      createServer({ maxHeaderSize: maxHeaderBytes, noDelay: true }, (request, response) => {
        if (!takesQuickly(request, response)) handler(request, response);
      }),
    forceCloseConnections: 'idle',
    routerOptions: { ignoreTrailingSlash: true },
  });
  if (access.open) refuseStrangers(app);
  app.register(cors, {
    origin: originRule(settings, access),
    methods: [...corsHeaders.methods],
    allowedHeaders: [...corsHeaders.allowedHeaders],
    exposedHeaders: [...corsHeaders.exposedHeaders],
    maxAge: 600,
  });
  app.addHook('onRequest', (request, _reply, done) => {
    if (request.method !== 'POST' || !request.url.startsWith('/telemetry/')) return done();
    try {
      assertMayWrite(access, request.headers);
      done();
    } catch (error) {
      done(error as HttpError);
    }
  });
  return app;
}

/** @throws HttpError 401 without a key, 403 with one that may only read or, without keys, from elsewhere */
function assertMayWrite(access: Access, headers: IncomingHttpHeaders): void {
  if (access.open) {
    assertLoopback(headers);
    return;
  }
  const scope = access.scopeOf(keyOf(headers));
  if (scope === undefined) {
    throw new HttpError(401, 'unauthorized', 'a key is required: Authorization: Bearer KEY');
  }
  if (scope === 'anon')
    throw new HttpError(403, 'forbidden', 'this key may read; writing needs an ingest key');
}

function originRule(settings: Settings, access: Access): (string | RegExp)[] | boolean {
  if (settings.allowedOrigins.includes('*')) return true;
  if (settings.allowedOrigins.length > 0) return settings.allowedOrigins;
  return access.open
    ? [/^https?:\/\/(localhost|127(\.\d{1,3}){3}|\[::1\]|[\w-]+\.localhost)(:\d+)?$/]
    : false;
}

/** An ingest key writes and reads nothing. */
function readScope(scope: KeyScope | undefined): Scope | undefined {
  return scope === 'ingest' ? undefined : scope;
}

async function registerDashboard(app: FastifyInstance): Promise<void> {
  // Not built in development of the server alone.
  if (!existsSync(`${dashboardRoot}index.html`)) return;
  await app.register(fastifyStatic, {
    root: dashboardRoot,
    cacheControl: true,
    maxAge: '1y',
    immutable: true,
    setHeaders: (response, path) => {
      // Names of assets carry their content's hash; the page that names them does not.
      if (path.endsWith('.html')) response.setHeader('cache-control', 'no-cache');
    },
  });
  // Each view of the page has a URL of its own.
  app.setNotFoundHandler((request, reply) => {
    const wantsPage = request.method === 'GET' && (request.headers.accept ?? '').includes('text/html');
    if (wantsPage) return reply.header('cache-control', 'no-cache').sendFile('index.html');
    return reply
      .code(404)
      .send({ error: 'not_found', message: `there is no ${request.method} ${request.url}` });
  });
}

function addressOf(app: FastifyInstance, settings: Settings): string {
  const address = app.server.address();
  const port = typeof address === 'object' && address !== null ? address.port : settings.port;
  const host = settings.host.includes(':') ? `[${settings.host}]` : settings.host;
  return `http://${host}:${port}`;
}
