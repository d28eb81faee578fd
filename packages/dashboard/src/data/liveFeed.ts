import type { RealtimeChannel, SupabaseClient } from '@supabase/supabase-js';
import { type Alert, inOrder, isOpen, readAlert } from './alerts.ts';
import { type Bucket, readBucket } from './bucket.ts';
import { Cell } from './cell.ts';
import { makeClient, reconnectAfterMs } from './client.ts';
import { type Connection, type ConnectionEvent, initialConnection, isCutOff, step } from './connection.ts';
import { heldMs, Minutes, minuteMs } from './minutes.ts';
import { LoadError, loadMetrics, loadNewestEventAt, loadOpenAlerts } from './queries.ts';
import { ServerClock } from './serverClock.ts';
import { type Waking, watchWaking } from './waking.ts';

/** An answer that comes sooner leaves the page as it is: it must not flicker whenever somebody comes back to it. */
const doubtMs = 400;
/** How long a socket has to answer after the machine woke before it counts as dead. */
const answerMs = 3_000;
/** A storm of alerts is not published one by one to a tab that nobody sees. */
const hiddenEveryMs = 1_000;

export interface LiveData {
  readonly minutes: readonly Bucket[];
  /** Open ones; undefined before they are known. */
  readonly alerts: readonly Alert[] | undefined;
  /** Server time; null before the first event ever, undefined before it is known. */
  readonly newestEventAt: number | null | undefined;
  /** Counts the requests that came while the page watched, so that "something came" is one comparison. */
  readonly arrived: number;
  /** Counts catch-ups: what else was loaded before the current one may lack something. */
  readonly epoch: number;
}

/** What could not be loaded, while that is being repeated. */
export interface Failures {
  readonly metrics?: LoadError | undefined;
  readonly alerts?: LoadError | undefined;
}

const nothing: LiveData = { minutes: [], alerts: undefined, newestEventAt: undefined, arrived: 0, epoch: 0 };

let feeds = 0;

/**
 * The last hour, live: subscribe first, then load, then merge what came meanwhile. After that everything is pushed
 * and no HTTP request is made; whenever something may have been missed, it loads once more.
 */
export class LiveFeed {
  readonly id = ++feeds;
  readonly clock = new ServerClock();
  readonly connection = new Cell<Connection>(initialConnection);
  readonly data = new Cell<LiveData>(nothing);
  readonly failures = new Cell<Failures>({});
  readonly client: SupabaseClient;
  #minutes = new Minutes();
  /** While a load is under way: what will replace `#minutes`. */
  #loading: { readonly minutes: Minutes; readonly alerts: Map<number, Alert> } | undefined;
  #alerts = new Map<number, Alert>();
  #alertsLoaded = false;
  /** Alerts that began while those that were open before were still being loaded. */
  readonly #begunMeanwhile = new Set<number>();
  #newestEventAt: number | null | undefined;
  #arrived = 0;
  #epoch = 0;
  #channel: RealtimeChannel | undefined;
  #frame: number | undefined;
  #hiddenTimer: ReturnType<typeof setTimeout> | undefined;
  #publishedAt = Number.NEGATIVE_INFINITY;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #resubscribe: ReturnType<typeof setTimeout> | undefined;
  #doubt: ReturnType<typeof setTimeout> | undefined;
  #answerDue: ReturnType<typeof setTimeout> | undefined;
  #loads = 0;
  #subscriptions = 0;
  #stopped = false;
  /** Browser time at which the page fell asleep, until it is known whether it missed something. */
  #asleepSince: number | undefined;
  /** Server time at which the page's own time stands still; see now(). */
  #stillAt: number | undefined;
  /** The same, while the server says that it learns of nothing itself. */
  #blindAt: number | undefined;
  readonly #waking: Waking;

  constructor(key: string) {
    this.client = makeClient(key, {
      clock: this.clock,
      refused: () => this.#happened('refused'),
      heartbeat: (status) => this.#heartbeat(status),
    });
    this.#waking = watchWaking({
      woke: (since) => this.#woke(since),
      offline: () => this.#happened('wentOffline'),
      online: () => {
        this.#happened('wentOnline');
        void this.#reconnect();
      },
    });
    this.#subscribe();
  }

  stop(): void {
    this.#stopped = true;
    this.#waking.stop();
    for (const timer of [this.#retry, this.#resubscribe, this.#doubt, this.#answerDue, this.#hiddenTimer])
      clearTimeout(timer);
    if (this.#frame !== undefined) cancelAnimationFrame(this.#frame);
    void this.client.removeAllChannels();
    void this.client.realtime.disconnect();
  }

  /**
   * Server time, milliseconds since 1970, up to which the page knows: now while it is live. It stands still while the
   * page is cut off, after a sleep and until the gap is loaded, and while the server's database does not answer: time
   * that nothing is known of must not look like time in which nothing happened.
   */
  now(): number {
    return this.#stillAt ?? this.#blindAt ?? this.clock.at(this.#waking.awakeUntil());
  }

  /** What the server says of itself: whether it can know of new events. */
  serverSees(sees: boolean): void {
    this.#blindAt = sees ? undefined : (this.#blindAt ?? this.now());
  }

  /** Loads everything once more, now. */
  readonly reload = (): void => {
    clearTimeout(this.#retry);
    void this.#catchUp(0);
  };

  /** Whether an open alert is news, though it was not there without others when alerts were first known. */
  hasBegunMeanwhile(alertId: number): boolean {
    return this.#begunMeanwhile.has(alertId);
  }

  /** As the page knows by now; the server's own word follows, or came before and may say more. */
  acknowledged(alertId: number): void {
    const alert = this.#alerts.get(alertId);
    if (alert === undefined) return;
    this.#alerts.set(alertId, { ...alert, acknowledged: true });
    this.#publishSoon();
  }

  #subscribe(): void {
    if (this.#stopped) return;
    const pulse = { schema: 'public', table: 'metrics_pulse' } as const;
    const takePulse = ({ new: row }: { new: Record<string, unknown> }) => this.#takePulse(readBucket(row));
    const takeAlert = ({ new: row }: { new: Record<string, unknown> }) => this.#takeAlert(readAlert(row));
    const takeNewAlert = ({ new: row }: { new: Record<string, unknown> }) => {
      if (!this.#alertsLoaded) this.#begunMeanwhile.add(Number(row.id));
      this.#takeAlert(readAlert(row));
    };
    const alerts = { schema: 'public', table: 'system_alerts' } as const;
    const channel = this.client
      // A name of its own each time: the client would hand out the one that is still leaving.
      .channel(`live-${++this.#subscriptions}`)
      .on('postgres_changes', { event: 'INSERT', ...pulse }, takePulse)
      .on('postgres_changes', { event: 'UPDATE', ...pulse }, takePulse)
      .on('postgres_changes', { event: 'INSERT', ...alerts }, takeNewAlert)
      .on('postgres_changes', { event: 'UPDATE', ...alerts }, takeAlert)
      // The server says so when it could not deliver everything.
      .on('system', {}, ({ status }: { status?: string }) => {
        if (status === 'error') this.#missed();
      });
    this.#channel = channel;
    channel.subscribe((status) => {
      if (this.#stopped || this.#channel !== channel) return;
      if (status === 'SUBSCRIBED') {
        this.#happened('subscribed');
        this.reload();
      } else {
        this.#happened('lost');
        // Figures without a live connection, said to be so, are better than none; and only HTTP tells a refused key.
        if (this.#epoch === 0 && this.#loading === undefined) this.reload();
        // CLOSED is final for a channel: no rejoin follows by itself.
        if (status === 'CLOSED') this.#resubscribe = setTimeout(() => this.#subscribe(), reconnectAfterMs(2));
      }
    });
  }

  async #catchUp(tries: number): Promise<void> {
    if (this.#stopped) return;
    const load = ++this.#loads;
    const next = { minutes: new Minutes(), alerts: new Map<number, Alert>() };
    this.#loading = next;
    const { client, clock } = this;
    const isCurrent = () => load === this.#loads && !this.#stopped;

    const alerts = this.#load('alerts', isCurrent, loadOpenAlerts(client), (loaded) => {
      for (const alert of loaded) if (!next.alerts.has(alert.id)) next.alerts.set(alert.id, alert);
      this.#alerts = next.alerts;
      this.#alertsLoaded = true;
    });
    // "The last two hours" are the server's: a browser may be hours off. Any answer tells its time.
    if (!clock.known) await Promise.race([alerts, loadNewestEventAt(client).catch(() => undefined)]);
    const figures = Promise.all([
      loadMetrics(client, { since: clock.now() - heldMs, stepSeconds: 60 }),
      loadNewestEventAt(client, clock.now()),
    ]);
    const metrics = this.#load('metrics', isCurrent, figures, ([buckets, newestEventAt]) => {
      for (const bucket of buckets) next.minutes.merge(bucket);
      this.#minutes = next.minutes;
      // Asked side by side: the first event of all may have come between the two answers, or after both.
      this.#newestEventAt = later(
        this.#newestEventAt,
        newestEventAt ?? newestOf(next.minutes.rows(), clock.now()),
      );
      this.#epoch++;
      // Asked for without a live connection: nothing follows.
      if (isCutOff(this.connection.get())) this.#stillAt = clock.now();
    });

    metrics.then((loaded) => loaded && this.#happened('caughtUp'));
    const complete = (await Promise.all([alerts, metrics])).every(Boolean);
    if (!isCurrent()) return;
    this.#loading = undefined;
    if (!complete) {
      this.#retry = setTimeout(() => void this.#catchUp(tries + 1), reconnectAfterMs(tries + 2));
    }
  }

  /** Either is shown as soon as it is there: one that fails or hangs does not hide the other. */
  async #load<T>(
    what: keyof Failures,
    isCurrent: () => boolean,
    answer: Promise<T>,
    take: (answer: T) => void,
  ): Promise<boolean> {
    let failure: LoadError | undefined;
    try {
      const loaded = await answer;
      if (!isCurrent()) return false;
      take(loaded);
      this.#publish();
    } catch (error) {
      if (!isCurrent()) return false;
      failure = error instanceof LoadError ? error : new LoadError(String(error), 0);
    }
    this.failures.set({ ...this.failures.get(), [what]: failure });
    return failure === undefined;
  }

  #takePulse(row: Bucket): void {
    this.clock.observe(row.updatedAt);
    this.#loading?.minutes.merge(row);
    // No frame comes in a hidden tab, and with it no publishing.
    if (document.visibilityState === 'hidden') this.#minutes.prune(this.clock.now());
    const brought = this.#minutes.merge(row);
    // The pulse is written right after the events; late ones belong to their own minute.
    if (brought > 0 && this.#epoch > 0) {
      this.#arrived += brought;
      this.#newestEventAt = later(this.#newestEventAt, Math.min(row.updatedAt, row.start + minuteMs - 1));
    }
    this.#publishSoon();
  }

  #takeAlert(alert: Alert): void {
    this.#loading?.alerts.set(alert.id, alert);
    this.#alerts.set(alert.id, alert);
    // A hidden tab draws no frames, and is the very one whose notification is needed.
    if (document.visibilityState === 'hidden') this.#publishHidden();
    else this.#publishSoon();
  }

  /** Not by a timer alone: those of tabs that are hidden for long wait for up to a minute. */
  #publishHidden(): void {
    const restMs = this.#publishedAt + hiddenEveryMs - performance.now();
    if (restMs <= 0) this.#publish();
    else this.#hiddenTimer ??= setTimeout(() => this.#publish(), restMs);
  }

  /** At most once a frame, and so never while the tab is hidden. */
  #publishSoon(): void {
    this.#frame ??= requestAnimationFrame(() => this.#publish());
  }

  #publish(): void {
    if (this.#frame !== undefined) cancelAnimationFrame(this.#frame);
    this.#frame = undefined;
    clearTimeout(this.#hiddenTimer);
    this.#hiddenTimer = undefined;
    this.#publishedAt = performance.now();
    this.#minutes.prune(this.clock.now());
    for (const [id, alert] of this.#alerts) if (!isOpen(alert)) this.#alerts.delete(id);
    this.data.set({
      minutes: this.#minutes.rows(),
      alerts: this.#alertsLoaded ? inOrder(this.#alerts.values()) : undefined,
      newestEventAt: this.#newestEventAt,
      arrived: this.#arrived,
      epoch: this.#epoch,
    });
  }

  #missed(): void {
    this.#happened('missed');
    this.reload();
  }

  #heartbeat(status: string): void {
    if (status === 'ok') {
      clearTimeout(this.#doubt);
      clearTimeout(this.#answerDue);
      const { phase } = this.connection.get();
      if (phase === 'live') this.#awake();
      if (phase === 'doubtful') {
        this.#happened('answered');
        this.reload();
      }
    } else if (status === 'timeout' || status === 'error') {
      this.#happened('lost');
    }
  }

  /** Whether the socket survived the sleep is asked, not assumed. If it did, nothing was missed. */
  #woke(since: number): void {
    const isLive = this.connection.get().phase === 'live';
    if (isLive) {
      this.#asleepSince ??= since;
      this.#stillAt ??= this.clock.at(since);
    }
    this.clock.forget();
    if (!isLive) return;
    if (!this.client.realtime.isConnected()) {
      void this.#reconnect();
      return;
    }
    clearTimeout(this.#doubt);
    clearTimeout(this.#answerDue);
    this.#doubt = setTimeout(() => this.#happened('woke'), doubtMs);
    this.#answerDue = setTimeout(() => void this.#reconnect(), answerMs);
    // One that is under way asks the same, and a second one would count as its timeout.
    if (this.client.realtime.pendingHeartbeatRef === null) void this.client.realtime.sendHeartbeat();
  }

  async #reconnect(): Promise<void> {
    if (this.#stopped) return;
    for (const timer of [this.#doubt, this.#answerDue, this.#resubscribe]) clearTimeout(timer);
    this.#happened('lost');
    // Not the same channel again: on a socket that never said goodbye it believes that it is still joined.
    const old = this.#channel;
    this.#channel = undefined;
    if (old !== undefined) void this.client.removeChannel(old);
    await this.client.realtime.disconnect();
    this.#subscribe();
  }

  #happened(event: ConnectionEvent): void {
    // Whatever tells of a sleep first, the page knows nothing of that time.
    const until = this.#asleepSince ?? this.#waking.awakeUntil();
    const before = this.connection.get();
    const after = step(before, event, until);
    if (after.phase === 'live') this.#awake();
    else if (before.phase === 'live') this.#stillAt ??= this.clock.at(until);
    this.connection.set(after);
  }

  #awake(): void {
    this.#asleepSince = undefined;
    this.#stillAt = undefined;
  }
}

/** Within its minute: when the newest event came at the latest. null where no minute has begun yet. */
function newestOf(minutes: readonly Bucket[], now: number): number | null {
  const newest = minutes.findLast(({ start }) => start <= now);
  return newest === undefined ? null : Math.min(now, newest.start + minuteMs - 1);
}

function later(known: number | null | undefined, heard: number | null): number | null {
  if (known === undefined || known === null) return heard;
  return heard === null ? known : Math.max(known, heard);
}
