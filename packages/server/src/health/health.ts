import { statfs } from 'node:fs/promises';
import type { FastifyInstance } from 'fastify';
import type pg from 'pg';
import type { ChannelSummary } from '../alert/delivery.ts';
import { formatDuration } from '../process/detect/words.ts';
import type { CanaryReport } from './canary.ts';

/** The article's bound: no event for five minutes is worth a word. */
const staleAfterSeconds = 300;
/** Probes of load balancers come often; the database sees one query a second. */
const cacheMs = 1_000;
const probeTimeoutMs = 2_000;
/** PostgreSQL stops when its disk is full; a busy day of events takes a gigabyte. */
const lowDiskShare = 0.05;
const lowDiskBytes = 2 ** 30;

export interface Health {
  readonly status: 'healthy' | 'degraded' | 'unhealthy';
  readonly database: 'connected' | 'unreachable';
  /** Seconds since an event was stored, whoever stored it; null before the first one ever. */
  readonly last_event_age_seconds: number | null;
  readonly message?: string;
  readonly pending_bytes: number;
  readonly feed_lag_seconds: number;
  /** Where the embedded PostgreSQL keeps its data; null for a given one, whose disk is elsewhere. */
  readonly disk: DiskSpace | null;
  readonly canary: CanaryReport;
  /** Whether alerts reach people; null while the database does not answer. Not a reason to be unhealthy. */
  readonly alert_channels: ChannelSummary | null;
}

interface DiskSpace {
  readonly free_bytes: number;
  readonly free_share: number;
}

export interface HealthDependencies {
  readonly pool: pg.Pool;
  /** Of the embedded PostgreSQL. */
  readonly dataDir: string | undefined;
  readonly pendingBytes: () => number;
  readonly feedLagSeconds: () => number;
  readonly canary: () => CanaryReport;
  readonly channels: () => Promise<ChannelSummary>;
}

/**
 * `GET /health`, `GET /ready`: cheap and without a key.
 *
 * @returns what they answer from
 */
export function registerHealth(
  app: FastifyInstance,
  dependencies: HealthDependencies,
): () => Promise<Health> {
  let cached: { readonly at: number; readonly health: Promise<Health> } | undefined;
  // One at a time: while the database stands still, each further one would hold a connection of the pool.
  let counting: Promise<ChannelSummary> | undefined;
  const channels = () => {
    counting ??= dependencies.channels().finally(() => {
      counting = undefined;
    });
    return counting;
  };
  let asking: Promise<number | null> | undefined;
  const ageSeconds = () => {
    asking ??= lastEventAgeSeconds(dependencies.pool).finally(() => {
      asking = undefined;
    });
    return asking;
  };
  const current = () => {
    if (cached === undefined || performance.now() - cached.at > cacheMs) {
      cached = { at: performance.now(), health: examine({ ...dependencies, channels }, ageSeconds) };
    }
    return cached.health;
  };

  app.get('/health', async (_request, reply) => {
    const health = await current();
    return reply.code(health.status === 'unhealthy' ? 503 : 200).send(health);
  });

  app.get('/ready', async (_request, reply) => {
    const health = await current();
    const ready = health.database === 'connected';
    return reply.code(ready ? 200 : 503).send({ ready });
  });
  return current;
}

async function examine(
  dependencies: HealthDependencies,
  ageSeconds: () => Promise<number | null>,
): Promise<Health> {
  const { dataDir, pendingBytes, feedLagSeconds, canary } = dependencies;
  const own = {
    pending_bytes: pendingBytes(),
    feed_lag_seconds: feedLagSeconds(),
    disk: dataDir === undefined ? null : await diskSpace(dataDir),
    canary: canary(),
  };
  let age: number | null;
  let channels: ChannelSummary;
  try {
    [age, channels] = await withinTime(Promise.all([ageSeconds(), dependencies.channels()]));
  } catch (error) {
    return {
      status: 'unhealthy',
      database: 'unreachable',
      last_event_age_seconds: null,
      message: `the database does not answer: ${(error as Error).message}`,
      ...own,
      alert_channels: null,
    };
  }
  const problems = problemsOf(age, own.disk, own.canary);
  const message = age === null && problems.length === 0 ? 'waiting for the first event' : problems.join('; ');
  return {
    status: problems.length === 0 ? 'healthy' : 'degraded',
    database: 'connected',
    last_event_age_seconds: age,
    ...(message === '' ? {} : { message }),
    ...own,
    alert_channels: channels,
  };
}

/** What is worth a word although the database answers. */
export function problemsOf(
  ageSeconds: number | null,
  disk: DiskSpace | null,
  { status, broken_stage }: Pick<CanaryReport, 'status' | 'broken_stage'>,
): string[] {
  const problems: string[] = [];
  if (ageSeconds !== null && ageSeconds > staleAfterSeconds)
    problems.push(`no event received for ${silence(ageSeconds)}`);
  if (disk !== null && (disk.free_share < lowDiskShare || disk.free_bytes < lowDiskBytes)) {
    const mebibytes = Math.round(disk.free_bytes / 2 ** 20);
    problems.push(
      `the disk of the data directory has ${mebibytes} MiB left (${Math.round(disk.free_share * 100)} %)`,
    );
  }
  if (status === 'failed')
    problems.push(`the canary did not arrive: the stage ${broken_stage} does not work`);
  return problems;
}

/** In whole units that have passed: after 9 minutes and 50 seconds it has not been silent for ten. */
function silence(seconds: number): string {
  const unit = seconds < 2 * 3_600 ? 60 : seconds < 2 * 86_400 ? 3_600 : 86_400;
  return formatDuration(Math.floor(seconds / unit) * unit * 1_000);
}

/** What is wrong with Nowcast itself, whatever the senders do. */
export async function ownProblems(dataDir: string | undefined, canary: CanaryReport): Promise<string[]> {
  return problemsOf(null, dataDir === undefined ? null : await diskSpace(dataDir), canary);
}

/** What an ordinary user may still fill. */
async function diskSpace(directory: string): Promise<DiskSpace> {
  const { bavail, blocks, bsize } = await statfs(directory);
  return { free_bytes: bavail * bsize, free_share: Math.round((bavail / blocks) * 1000) / 1000 };
}

/** From the feed, which knows when events came; where it was pruned since, from the newest event's own time. */
async function lastEventAgeSeconds(pool: pg.Pool): Promise<number | null> {
  const { rows } = await pool.query<{ age: number | null }>(`
    select extract(epoch from now() - coalesce(
      (select created_at from nowcast.feed
       where relation = 'inference_logs' and min_timestamp is not null order by position desc limit 1),
      (select max(timestamp) from public.inference_logs where timestamp <= now())
    ))::double precision as age`);
  const age = rows[0]!.age;
  return age === null ? null : Math.max(0, Math.round(age * 1000) / 1000);
}

function withinTime<T>(work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout;
  const timeout = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(
      () => reject(new Error(`no answer within ${probeTimeoutMs / 1000} s`)),
      probeTimeoutMs,
    );
  });
  return Promise.race([work, timeout]).finally(() => clearTimeout(timer));
}
