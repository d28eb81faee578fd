import type { FastifyInstance } from 'fastify';
import type pg from 'pg';

/** The article's bound: no event for five minutes is worth a word. */
const staleAfterSeconds = 300;
/** Probes of load balancers come often; the database sees one query a second. */
const cacheMs = 1_000;
const probeTimeoutMs = 2_000;

interface Health {
  readonly status: 'healthy' | 'degraded' | 'unhealthy';
  readonly database: 'connected' | 'unreachable';
  /** Seconds since an event was stored, whoever stored it; null before the first one ever. */
  readonly last_event_age_seconds: number | null;
  readonly message?: string;
  readonly pending_bytes: number;
  readonly feed_lag_seconds: number;
}

export interface HealthDependencies {
  readonly pool: pg.Pool;
  readonly pendingBytes: () => number;
  readonly feedLagSeconds: () => number;
}

/** `GET /health`, `GET /ready`: cheap and without a key. */
export function registerHealth(app: FastifyInstance, dependencies: HealthDependencies): void {
  let cached: { readonly at: number; readonly health: Promise<Health> } | undefined;
  const current = () => {
    if (cached === undefined || performance.now() - cached.at > cacheMs) {
      cached = { at: performance.now(), health: examine(dependencies) };
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
}

async function examine({ pool, pendingBytes, feedLagSeconds }: HealthDependencies): Promise<Health> {
  const own = { pending_bytes: pendingBytes(), feed_lag_seconds: feedLagSeconds() };
  let age: number | null;
  try {
    age = await withinTime(lastEventAgeSeconds(pool));
  } catch (error) {
    return {
      status: 'unhealthy',
      database: 'unreachable',
      last_event_age_seconds: null,
      message: `the database does not answer: ${(error as Error).message}`,
      ...own,
    };
  }
  const known = { database: 'connected', last_event_age_seconds: age, ...own } as const;
  if (age === null) return { status: 'healthy', message: 'waiting for the first event', ...known };
  if (age > staleAfterSeconds) {
    return { status: 'degraded', message: `no event received for ${Math.round(age)} s`, ...known };
  }
  return { status: 'healthy', ...known };
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
