/** What every measurement works with: the shared PostgreSQL, the sides on it (started when first asked for), the plan. */

import { availableParallelism } from 'node:os';
import type { CopyLoad, CopyLoadResult } from './load/copy-load.ts';
import type { HttpLoad, HttpLoadResult } from './load/http-load.ts';
import type { OtlpLoad, OtlpLoadResult } from './load/otlp-load.ts';
import { startTask, type Task, type TaskOptions } from './load/task.ts';
import type { Plan } from './options.ts';
import { type CpuUse, CpuWatch } from './profile/cpu.ts';
import { V8Profile } from './profile/v8-profile.ts';
import { alone, isMissing, type Missing, type Row } from './row.ts';
import { type ArticleSide, startArticle } from './side/article.ts';
import { withClient } from './side/database.ts';
import { type NowcastSide, startNowcast } from './side/nowcast.ts';
import { type PostgresSide, startPostgres } from './side/postgres.ts';

/** Beyond its own window a load needs time to prepare its requests and to hear the last answers. */
const LOAD_SLACK_MS = 25_000;

/** A paced load that reaches less of its pace than this is reported as not kept up with. */
const KEPT_PACE = 0.97;

export class Bench {
  readonly plan: Plan;
  readonly postgres: PostgresSide;
  readonly log: (line: string) => void;
  readonly profiles: { what: string; cpu: CpuUse; v8?: V8Profile }[] = [];
  /** Events that PostgreSQL or a service has acknowledged, by database. */
  readonly #acknowledged = new Map<string, number>();
  readonly #strangerShares: number[] = [];
  readonly #abort = new AbortController();
  #article: Promise<ArticleSide | Missing> | undefined;
  #nowcast: Promise<NowcastSide | Missing> | undefined;

  private constructor(plan: Plan, postgres: PostgresSide, log: (line: string) => void) {
    this.plan = plan;
    this.postgres = postgres;
    this.log = log;
  }

  static async open(plan: Plan, log: (line: string) => void): Promise<Bench> {
    return new Bench(plan, await startPostgres(), log);
  }

  article(): Promise<ArticleSide | Missing> {
    this.#article ??= this.postgres.createDatabase('bench_article').then(startArticle);
    return this.#article;
  }

  nowcast(): Promise<NowcastSide | Missing> {
    this.#nowcast ??= this.postgres
      .createDatabase('bench_nowcast')
      .then((url) => startNowcast({ databaseUrl: url }, { inspect: this.plan.profile }));
    return this.#nowcast;
  }

  /** One turn of HTTP load on a service; a failed request fails the run, since its rate would mean nothing. */
  async http(
    what: string,
    side: { pid: number; port: number; databaseUrl: string },
    load: Omit<HttpLoad, 'port'>,
  ): Promise<HttpLoadResult> {
    const module = new URL('./load/http-load.js', import.meta.url);
    const spec = { ...load, port: side.port };
    const result = await this.#turn<HttpLoad, HttpLoadResult>(what, side.pid, module, spec);
    if (result.failures > 0) {
      throw new Error(`${what}: ${result.failures} requests failed: ${result.firstFailure}`);
    }
    this.expectStored(side.databaseUrl, result.acknowledged);
    const asked = (load.requestsPerSecond ?? 0) * (load.batchSize ?? 1);
    if (result.eventsPerSecond < KEPT_PACE * asked)
      this.log(`  the service did not keep up with ${asked} events/s`);
    return result;
  }

  async otlp(
    what: string,
    side: { pid: number; port: number; databaseUrl: string },
    load: Omit<OtlpLoad, 'port'>,
  ): Promise<OtlpLoadResult> {
    const module = new URL('./load/otlp-load.js', import.meta.url);
    const spec = { ...load, port: side.port };
    const result = await this.#turn<OtlpLoad, OtlpLoadResult>(what, side.pid, module, spec);
    this.expectStored(side.databaseUrl, result.acknowledged);
    return result;
  }

  async copy(what: string, load: CopyLoad): Promise<CopyLoadResult> {
    const module = new URL('./load/copy-load.js', import.meta.url);
    const result = await this.#turn<CopyLoad, CopyLoadResult>(what, null, module, load);
    this.expectStored(load.databaseUrl, result.acknowledged);
    return result;
  }

  /** Rows that `verify` is to find in a database beside those of the turns. */
  expectStored(databaseUrl: string, events: number): void {
    this.#acknowledged.set(databaseUrl, (this.#acknowledged.get(databaseUrl) ?? 0) + events);
  }

  /** Fast because it forgets would be no speed: every acknowledged event of every side must be a row. */
  async verify(): Promise<Row> {
    let missing = 0;
    for (const [databaseUrl, acknowledged] of this.#acknowledged) {
      const query = 'SELECT count(*)::integer AS stored FROM inference_logs';
      const { rows } = await withClient(databaseUrl, (client) => client.query<{ stored: number }>(query));
      missing += Math.abs(acknowledged - rows[0]!.stored);
    }
    return alone({
      what: 'acknowledged events that are not stored once, all sides',
      unit: 'events',
      ours: [missing],
      target: { atMost: 0 },
    });
  }

  /** Share of the machine that others had while windows were open, over all turns. */
  get strangerShare(): number {
    return this.#strangerShares.reduce((sum, share) => sum + share, 0) / this.#strangerShares.length;
  }

  /** A process that accompanies a load: subscribers, tabs. `file` is a module of `load/`. */
  companion<Spec, Result>(
    file: string,
    spec: Spec,
    limitMs: number,
    options: Pick<TaskOptions, 'givesWay'> = {},
  ): Task<Result> {
    const module = new URL(`./load/${file}.js`, import.meta.url);
    return startTask<Spec, Result>(module, spec, { ...options, limitMs, signal: this.#abort.signal });
  }

  async #turn<
    Spec extends { warmUpMs: number; measureMs: number },
    Result extends { eventsPerSecond: number; seconds: number },
  >(what: string, serverPid: number | null, module: URL, spec: Spec): Promise<Result> {
    // Every turn starts just behind a checkpoint: none pays for the pages that another made dirty.
    await this.postgres.admin.query('CHECKPOINT');
    const watch = new CpuWatch(this.postgres.pid, serverPid);
    const v8 = await this.#profileOf(serverPid);
    const options: TaskOptions = {
      limitMs: spec.warmUpMs + spec.measureMs + LOAD_SLACK_MS,
      signal: this.#abort.signal,
      onWindow: (edge, pid) => {
        watch.edge(edge, pid);
        v8?.edge(edge);
      },
    };
    const result = await startTask<Spec, Result>(module, spec, options).result;
    const cpu = watch.use(result.eventsPerSecond * result.seconds);
    this.log(`  ${what}: ${Math.round(result.eventsPerSecond).toLocaleString('en')} events/s`);
    this.#strangerShares.push(cpu.strangerSeconds / cpu.wallSeconds / availableParallelism());
    if (this.plan.profile) this.profiles.push({ what, cpu, ...(v8 === null ? {} : { v8 }) });
    await v8?.finish();
    return result;
  }

  async #profileOf(serverPid: number | null): Promise<V8Profile | null> {
    if (!this.plan.profile || this.#nowcast === undefined) return null;
    const nowcast = await this.#nowcast;
    if (isMissing(nowcast) || nowcast.pid !== serverPid || nowcast.inspectorUrl === null) return null;
    return V8Profile.connect(nowcast.inspectorUrl);
  }

  /** Null where no measurement asked for it. */
  get startedArticle(): Promise<ArticleSide | Missing> | null {
    return this.#article ?? null;
  }

  async close(): Promise<void> {
    this.#abort.abort();
    for (const starting of [this.#article, this.#nowcast]) {
      const side = await starting?.catch(() => undefined);
      if (side !== undefined && !isMissing(side)) await side.stop();
    }
    await this.postgres.stop();
  }
}
