import { existsSync } from 'node:fs';
import type { IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import cors from '@fastify/cors';
import fastifyStatic from '@fastify/static';
import Fastify, { type FastifyBaseLogger, type FastifyInstance, LogController } from 'fastify';
import type { Logger } from 'pino';
import { Access } from './access/access.ts';
import { boundedHttpServer, drainConnections, type HttpTimings, httpTimings } from './access/httpServer.ts';
import { type KeyScope, keyOf } from './access/keys.ts';
import { PlainConnections } from './access/plainConnections.ts';
import { requestIdOf } from './access/requestId.ts';
import { type GuardedRoute, guardRoutes } from './access/routes.ts';
import { registerBacktest } from './alert/backtest/route.ts';
import { configuredChannels } from './alert/channels/configured.ts';
import { environmentChannels } from './alert/channels/environment.ts';
import type { ServiceUrls } from './alert/channels/make.ts';
import { AlertDelivery } from './alert/delivery.ts';
import { defaultLookIntervalMs, Engine } from './alert/engine.ts';
import { sendAlertDigest } from './alert/outbox/alertDigest.ts';
import type { WorkerTimings } from './alert/outbox/worker.ts';
import { registerChannels } from './alert/routes.ts';
import { loadConfig } from './config/config.ts';
import { applyRules } from './config/rules.ts';
import { loadCatalog } from './deliver/catalog.ts';
import { Feed } from './deliver/feed.ts';
import { HourTotals } from './deliver/hourTotals.ts';
import { publish, type Scope } from './deliver/published.ts';
import { Pulse } from './deliver/pulse.ts';
import { registerRealtime } from './deliver/realtime/hub.ts';
import { corsHeaders } from './deliver/rest/cors.ts';
import { loadRoles } from './deliver/rest/roles.ts';
import { registerRest } from './deliver/rest/routes.ts';
import { RowMemory } from './deliver/rowMemory.ts';
import { Canary, defaultCanaryIntervalMs } from './health/canary.ts';
import { postCanary, registerCanaryDoor } from './health/canaryDoor.ts';
import { ownProblems, registerHealth } from './health/health.ts';
import { Ledger, senderName } from './health/ledger.ts';
import { SelfMetrics } from './health/metrics.ts';
import { StatusPush } from './health/statusPush.ts';
import { registerHistoryQuery } from './history/cold/queryRoute.ts';
import { History } from './history/history.ts';
import { registerFeedback } from './ingest/feedback.ts';
import { Intake } from './ingest/intake.ts';
import { registerOtlp } from './ingest/otlp/routes.ts';
import { type QuickPath, quickPath, singlePath } from './ingest/quickPath.ts';
import { BodyBudget } from './ingest/receivedBody.ts';
import { type IngestDependencies, registerIngest } from './ingest/routes.ts';
import { startSampling } from './ingest/sampling/unusualEvents.ts';
import { makeLog, problemsOnly } from './log.ts';
import { Compactor } from './process/compactor.ts';
import { loadEdges } from './process/histogram.ts';
import { Scheduler, type SchedulerTimings } from './schedule/scheduler.ts';
import { scheduledTasks } from './schedule/tasks.ts';
import { isLoopbackAddress, type Settings } from './settings.ts';
import { StartupError } from './startupError.ts';
import { announcement } from './store/group.ts';
import { Housekeeping } from './store/housekeeping.ts';
import { IdPool } from './store/idPool.ts';
import { Partitions } from './store/partitions.ts';
import { openStore } from './store/store.ts';
import { Writer } from './store/writer.ts';
import { WriterConnection } from './store/writerConnection.ts';

const dashboardRoot = fileURLToPath(new URL('../../dashboard/dist/', import.meta.url));
const maxSettleMs = 2_000;

export interface RunningServer {
  readonly url: string;
  /** Whether callers need a key. */
  readonly needsKey: boolean;
  readonly routes: readonly GuardedRoute[];
  close(): Promise<void>;
}

/** For tests, which have no minute to wait. */
export interface ServerTimings {
  readonly http?: HttpTimings;
  readonly canaryIntervalMs?: number;
  readonly lookIntervalMs?: number;
  readonly delivery?: WorkerTimings;
  readonly schedule?: SchedulerTimings;
  readonly services?: ServiceUrls;
}

/**
 * The whole of Nowcast in one process: an event comes in at the top and leaves at the bottom.
 *
 * @throws StartupError with one sentence for everything a person can change
 */
export async function startServer(
  settings: Settings,
  {
    http = httpTimings,
    canaryIntervalMs = defaultCanaryIntervalMs,
    lookIntervalMs = defaultLookIntervalMs,
    delivery: deliveryTimings,
    schedule,
    services,
  }: ServerTimings = {},
): Promise<RunningServer> {
  const log = makeLog(settings.logLevel);
  const access = new Access(settings, log);
  refuseNewOpenDatabase(settings, access);
  const config = await loadConfig(settings.configFile);
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
    let quick: QuickPath | undefined;
    const metrics = new SelfMetrics();
    const { app, routes } = makeApp(
      access,
      log,
      metrics,
      {
        take: (request, response) => quick?.take(request, response) ?? false,
        takeWhole: (request, answer) => quick?.takeWhole(request, answer) ?? false,
      },
      http,
    );
    closers.push(() => drainConnections(app.server, app.close()));
    const { url, pool } = store;
    closers.push(() => access.stop());
    await access.start(pool, () => hub.recheckKeys());
    refuseWithoutKeys(settings, access);
    const gone = await applyRules(pool, config);
    if (gone > 0) log.info({ rules: gone }, 'rules that the configuration file no longer names are gone');
    const [edges, catalog, roles] = await Promise.all([
      loadEdges(pool),
      loadCatalog(pool),
      loadRoles(pool, log),
    ]);

    // Deliver: what was committed finds its readers. Made first, since everything before it feeds it.
    const publication = publish();
    const hub = registerRealtime(app.server, {
      catalog,
      scopeOf: (key) => (canary.isOwnKey(key) ? 'anon' : readScope(access.scopeOf(key))),
      readableColumns: (scope, relation) =>
        publication.readableColumns(scope, relation).map(({ name }) => name),
      originAllowed: ({ headers }) => access.webSocketAllowed(headers),
      // A database that is away must not keep subscribers out: they are served when it is back.
      settle: () => Promise.race([feed.catchUp(), delay(maxSettleMs, undefined, { ref: false })]),
      onError: (error) => log.error({ err: error }, 'realtime'),
    });
    closers.push(() => hub.close());
    const memory = new RowMemory();
    const pulse = new Pulse(pool, log, () => hub.subscriberCount('metrics_pulse') > 0);
    closers.push(() => pulse.stop());
    const totals = new HourTotals(pool, hub, log);
    closers.push(() => totals.stop());
    const compactor = new Compactor(pool, log);
    closers.push(() => compactor.stop());
    const ownChannels = environmentChannels(settings);
    // Made before the feed, which wakes it; it begins when the page has an address.
    const delivery = new AlertDelivery({
      pool,
      log,
      channels: [...ownChannels, ...configuredChannels(config, ownChannels)],
      allow: settings.webhookAllow,
      publicUrl: () => settings.publicUrl ?? addressOf(app, settings),
      services,
      timings: deliveryTimings,
    });
    let engine: Engine | undefined;
    const feed = new Feed({
      url,
      pool,
      catalog,
      hub,
      memory,
      log,
      onEvents: (since, until) => {
        pulse.eventsChanged(since, until);
        totals.eventsChanged();
        compactor.wake();
        engine?.eventsChanged(since);
      },
      onKeysChanged: () => access.reload(),
      onNews: () => delivery.wake(),
      onCanary: (id) => canary.followed(id),
    });
    closers.push(() => feed.stop());
    hub.onSubscriptionsChanged((table, count) => {
      if (table === 'metrics_pulse' && count === 1) pulse.watchBegan();
      if (table === 'metrics_hour_totals' && count > 0) totals.eventsChanged();
    });

    // Store: one connection writes in groups.
    const partitions = new Partitions(pool);
    const writer = new Writer({
      connection: new WriterConnection(url),
      partitions,
      edges,
      maxPendingBytes: settings.maxPendingBytes,
      onCommitted: (token, rows, seconds) => {
        metrics.committed(seconds, rows.length);
        if (hub.subscriberCount('inference_logs') > 0) memory.keep(token, rows);
      },
      announce: async () => {
        try {
          await pool.query(announcement);
        } catch (error) {
          // Whoever follows the feed looks by itself every few seconds.
          log.warn({ err: error }, 'waking the feed failed');
        }
      },
    });
    closers.push(() => writer.close());

    // Ingest: the doors.
    const ledger = new Ledger(pool, log, (fate, reason, events) => metrics.count(fate, reason, events));
    closers.push(() => ledger.stop());
    const sampling = await startSampling(settings, pool, log);
    closers.push(async () => sampling?.stop());
    const intake = new Intake({
      sampler: sampling?.sampler,
      writer,
      ids: new IdPool(pool),
      partitions,
      hotDays: settings.hotDays,
      limits: settings,
      ledger,
    });
    const bodies = new BodyBudget(settings.maxReceivingBytes);
    const clientOf = ({ headers }: { headers: IncomingHttpHeaders }) =>
      senderName(headers['x-nowcast-client']) ?? access.labelOf(keyOf(headers));
    quick = quickPath({
      intake,
      log,
      ledger,
      clientOf,
      assertMayWrite: ({ headers }) => access.assertMayWrite(headers, 1),
      bodies,
      maxBodyBytes: settings.maxBodyBytes,
      onAnswered: metrics.answersOf(singlePath),
    });
    const doors: IngestDependencies = {
      intake,
      log,
      ledger,
      clientOf,
      senderOf: ({ headers }) => access.senderOf(keyOf(headers)),
      charge: ({ headers }, events) => access.assertMayWrite(headers, events),
      bodies,
      limits: settings,
    };
    registerIngest(app, doors);
    registerOtlp(app, doors);
    const mayCome = (traceId: string) => sampling?.sampler.keepsTrace(traceId) ?? true;
    closers.push(registerFeedback(app, { pool, log, bodies, charge: doors.charge, mayCome }));
    registerRest(app, {
      pool,
      bodies,
      catalog,
      publication,
      roles,
      scopeOf: ({ headers }) => readScope(access.scopeOf(keyOf(headers))),
    });
    registerBacktest(app, { pool });
    registerHistoryQuery(app, { databaseUrl: url });
    const canary = new Canary({
      hub,
      log,
      post: postCanary,
      onArrival: (seconds) => metrics.endToEnd(seconds),
      intervalMs: canaryIntervalMs,
    });
    registerCanaryDoor(app, { canary, intake });
    const health = registerHealth(app, {
      pool,
      dataDir: settings.databaseUrl === undefined ? settings.dataDir : undefined,
      pendingBytes: () => writer.pendingBytes,
      feedLagSeconds: () => feed.lagSeconds,
      canary: () => canary.report(),
      channels: () => delivery.summary(),
    });
    registerChannels(app, delivery);
    const status = new StatusPush(hub, health, log);
    closers.push(() => status.stop());
    ledger.onWritten = () => status.lossesChanged();
    metrics.watch({
      deliveries: () => delivery.counts(),
      hub,
      bodyBytes: () => bodies.bytes,
      ownSockets: () => canary.sockets,
      pendingBytes: () => writer.pendingBytes,
      feedLagSeconds: () => feed.lagSeconds,
    });
    metrics.register(app);
    await registerDashboard(app);

    await partitions.ensureAround(Date.now() * 1000, 1);
    await feed.start();
    // Whatever was not compacted before the last stop.
    compactor.wake();
    const housekeeping = new Housekeeping(pool, partitions, settings.hotDays, log);
    closers.push(() => housekeeping.stop());
    const history = new History(pool, url, settings, log);
    const { digest, timezone: zone } = settings;
    const sendDigest = async (signal: AbortSignal) =>
      digest !== 'off' && (await sendAlertDigest(pool, { every: digest, zone, now: new Date(), signal }));
    const tasks = scheduledTasks(history, sendDigest, settings);
    const scheduler = new Scheduler({ pool, log, zone, tasks, timings: schedule });
    closers.push(() => scheduler.stop());

    // Alert: the rules judge what summaries say, each second.
    const dataDir = settings.databaseUrl === undefined ? settings.dataDir : undefined;
    engine = new Engine({
      pool,
      log,
      ownState: async () => {
        const report = canary.report();
        return { problems: await ownProblems(dataDir, report), isBlind: report.status === 'failed' };
      },
      onLook: (seconds) => metrics.evaluated(seconds),
      intervalMs: lookIntervalMs,
    });
    closers.push(async () => engine?.stop());

    await app.listen({ host: settings.host, port: settings.port });
    const grpcPort = settings.otlpGrpcPort ?? (settings.port === 4318 ? 4317 : 0);
    if (grpcPort > 0) closers.push(await openGrpcDoor(app, settings, grpcPort, log));
    // Refuse new requests first, then let what was accepted be committed.
    closers.push(async () => app.server.closeIdleConnections());
    closers.push(() => delivery.stop());
    delivery.start();
    canary.start(ownAddressOf(app));
    closers.push(() => canary.stop());
    return { url: addressOf(app, settings), needsKey: !access.open, routes, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** The second door of OpenTelemetry. Another program at its port is no reason not to start: HTTP is there. */
async function openGrpcDoor(
  app: FastifyInstance,
  { host, maxBodyBytes, maxReceivingBytes }: Settings,
  port: number,
  log: Logger,
): Promise<() => Promise<void>> {
  // Loaded here, so that a start without it does not wait for it.
  const { listenOtlpGrpc } = await import('./ingest/otlp/grpc.ts');
  try {
    const door = ownAddressOf(app);
    const grpc = await listenOtlpGrpc({ host, port, door, maxBodyBytes, maxReceivingBytes });
    return () => grpc.close();
  } catch (error) {
    log.warn(
      { code: (error as NodeJS.ErrnoException).code, port },
      'OpenTelemetry by gRPC is off, its port cannot be opened: free it, or set NOWCAST_OTLP_GRPC_PORT to another, or to 0',
    );
    return async () => undefined;
  }
}

function makeApp(
  access: Access,
  log: Logger,
  metrics: SelfMetrics,
  quick: QuickPath,
  timings: HttpTimings,
): { app: FastifyInstance; routes: readonly GuardedRoute[] } {
  const app = Fastify({
    serverFactory: (handler) => {
      const server = boundedHttpServer((request, response) => {
        if (!quick.take(request, response)) handler(request, response);
      }, timings);
      PlainConnections.before(server, singlePath, timings, quick.takeWhole);
      return server;
    },
    forceCloseConnections: 'idle',
    loggerInstance: problemsOnly(log) as FastifyBaseLogger,
    logController: new LogController({ requestIdLogLabel: 'request_id' }),
    genReqId: ({ headers }) => requestIdOf(headers),
    routerOptions: { ignoreTrailingSlash: true },
  });
  metrics.observe(app);
  const routes = guardRoutes(app, access);
  app.register(cors, {
    // Asked for each request: the first key changes the answer.
    origin: (origin, answer) => answer(null, origin !== undefined && access.crossOriginAllowed(origin)),
    methods: [...corsHeaders.methods],
    allowedHeaders: [...corsHeaders.allowedHeaders],
    exposedHeaders: [...corsHeaders.exposedHeaders],
    maxAge: 600,
  });
  return { app, routes };
}

/** @throws StartupError */
function refuseWithoutKeys({ host }: Settings, access: Access): void {
  if (isLoopbackAddress(host) || access.hasKeys) return;
  throw new StartupError(
    `HOST ${host} lets other machines in, so it needs keys: set NOWCAST_INGEST_KEY, NOWCAST_ANON_KEY and NOWCAST_SERVICE_KEY, make some with nowcast keys create, or leave HOST at 127.0.0.1.`,
    2,
  );
}

/**
 * A database that does not exist yet holds no keys: nothing needs to be made in order to refuse.
 *
 * @throws StartupError
 */
function refuseNewOpenDatabase(settings: Settings, access: Access): void {
  if (settings.databaseUrl === undefined && !existsSync(settings.dataDir))
    refuseWithoutKeys(settings, access);
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
    // The build leaves .br and .gz beside each file.
    preCompressed: true,
    // Said below: the library's own header would win over it.
    cacheControl: false,
    setHeaders: (response, path) => {
      // Names of assets carry their content's hash; the page that names them does not.
      const isHashed = path.includes('/assets/');
      response.setHeader('cache-control', isHashed ? 'public, max-age=31536000, immutable' : 'no-cache');
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

/** Where this process reaches itself, whatever it is bound to. */
function ownAddressOf(app: FastifyInstance): string {
  const { address, family, port } = app.server.address() as AddressInfo;
  if (address === '0.0.0.0') return `http://127.0.0.1:${port}`;
  if (address === '::') return `http://[::1]:${port}`;
  return `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`;
}

function addressOf(app: FastifyInstance, settings: Settings): string {
  const address = app.server.address();
  const port = typeof address === 'object' && address !== null ? address.port : settings.port;
  const host = settings.host.includes(':') ? `[${settings.host}]` : settings.host;
  return `http://${host}:${port}`;
}
