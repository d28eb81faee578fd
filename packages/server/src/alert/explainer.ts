import type pg from 'pg';
import type { Logger } from 'pino';
import type { Change } from './evaluator.ts';
import { type Explanation, explain, type Question } from './explanation.ts';

/** An alert does not wait longer for its explanation: it gets it a moment later. */
const patienceMs = 600;
/** When much breaks at once, the first ones are explained. */
const mostAtOnce = 3;
const laterIntervalMs = 5_000;
/**
 * An alert opens with the first few bad events, which seldom show where they come from. One that nothing explained is
 * asked again when there are more.
 */
const againAfterMs = 60_000;
/** Alerts remembered as asked again; more than that are not open at once in an hour that anybody can follow. */
const mostRemembered = 10_000;

/**
 * Asks what a change comes from: for alerts that are about to open, for those that opened without an answer, and once more
 * where the answer was that nothing explains it.
 */
export class Explainer {
  readonly #pool: pg.Pool;
  readonly #log: Logger;
  #later: Promise<void> | undefined;
  #laterAtMs = Number.NEGATIVE_INFINITY;
  readonly #askedAgain = new Set<number>();

  constructor(pool: pg.Pool, log: Logger) {
    this.#pool = pool;
    this.#log = log;
  }

  async ask(changes: readonly Change[]): Promise<Map<Change, Explanation>> {
    const asked = changes.filter(({ effect, breach }) => effect === 'open' && breach?.asked !== undefined);
    const answers = new Map<Change, Explanation>();
    if (asked.length === 0) return answers;
    let timer: NodeJS.Timeout;
    const outOfPatience = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, patienceMs);
    });
    const all = Promise.all(
      asked.slice(0, mostAtOnce).map(async (change) => {
        try {
          answers.set(change, await explain(this.#pool, questionOf(change)));
        } catch (error) {
          this.#log.warn({ err: error, rule: change.rule }, 'explaining an alert failed; it is tried again');
        }
      }),
    );
    await Promise.race([all, outOfPatience]).finally(() => clearTimeout(timer));
    // A late answer is no part of what is written now.
    return new Map(answers);
  }

  /** Looks for alerts without an explanation or a cause; one search at a time. */
  look(): void {
    if (this.#later !== undefined || performance.now() - this.#laterAtMs < laterIntervalMs) return;
    this.#laterAtMs = performance.now();
    this.#later = this.#explainLater()
      .catch((error: unknown) =>
        this.#log.warn({ err: error }, 'explaining alerts failed; it is tried again'),
      )
      .finally(() => {
        this.#later = undefined;
      });
  }

  async stop(): Promise<void> {
    await this.#later;
  }

  async #explainLater(): Promise<void> {
    const { rows } = await this.#pool.query<{
      id: number;
      labels: Question['labels'];
      alert_type: string;
      metric: string | null;
      since: Date;
      again: boolean;
    }>(
      `select a.id, a.labels, a.alert_type, a.metadata ->> 'metric' as metric,
        coalesce((a.metadata ->> 'since')::timestamptz, a.timestamp - interval '1 minute') as since,
        a.explanation is not null as again
       from public.system_alerts a
       where a.status = 'firing' and a.timestamp > now() - interval '1 hour' and a.alert_type = any ($1)
         and (a.explanation is null
           or a.explanation -> 'causes' = '[]' and a.timestamp < now() - $3 * interval '1 millisecond'
             and a.id <> all ($4))
       order by a.explanation is not null, a.id desc limit $2`,
      [[...Object.keys(metricOfType), 'anomaly'], mostAtOnce, againAfterMs, [...this.#askedAgain]],
    );
    for (const { id, labels, alert_type: type, metric, since, again } of rows) {
      if (again) {
        if (this.#askedAgain.size >= mostRemembered) this.#askedAgain.clear();
        this.#askedAgain.add(id);
      }
      const asked = metricOfType[type] ?? metricOfSeries[metric ?? ''];
      if (asked === undefined) continue;
      const explanation = await explain(this.#pool, {
        metric: asked,
        labels,
        since,
        until: new Date(),
        baselineSince: new Date(since.getTime() - 3_600_000),
        baselineUntil: since,
      });
      if (again && explanation.causes.length === 0) continue;
      await this.#pool.query(
        `update public.system_alerts set explanation = $2
         where id = $1 and (explanation is null or explanation -> 'causes' = '[]')`,
        [id, JSON.stringify(explanation)],
      );
    }
  }
}

const metricOfType: Readonly<Record<string, Question['metric']>> = {
  error_rate: 'error_rate',
  high_latency: 'latency',
  low_confidence: 'confidence',
  low_quality: 'quality',
  no_data: 'traffic',
  low_traffic: 'traffic',
  client_silent: 'traffic',
};

const metricOfSeries: Readonly<Record<string, Question['metric']>> = {
  requests: 'traffic',
  error_rate: 'error_rate',
  p95_latency_ms: 'latency',
  confidence: 'confidence',
  tokens: 'tokens',
};

function questionOf({ labels, breach }: Change): Question {
  const { metric, sinceMs, baselineSinceMs, baselineUntilMs } = breach!.asked!;
  return {
    metric,
    labels,
    since: new Date(sinceMs),
    until: new Date(),
    baselineSince: new Date(Math.min(baselineSinceMs, baselineUntilMs - 60_000)),
    baselineUntil: new Date(baselineUntilMs),
  };
}
