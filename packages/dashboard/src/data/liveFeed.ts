import type { RealtimeChannel, SupabaseClient } from '@supabase/supabase-js';
import { type Alert, inOrder, isOpen, readAlert } from './alerts.ts';
import { type Bucket, readBucket } from './bucket.ts';
import { Cell } from './cell.ts';
import { makeClient, reconnectAfterMs } from './client.ts';
import { type Connection, type ConnectionEvent, initialConnection, step } from './connection.ts';
import { heldMs, Minutes, minuteMs } from './minutes.ts';
import { LoadError, loadMetrics, loadNewestEventAt, loadOpenAlerts } from './queries.ts';
import { ServerClock } from './serverClock.ts';
import { watchWaking } from './waking.ts';

/** How long a socket has to answer after the machine woke before it counts as dead. */
const answerMs = 3_000;

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
  readonly metrics?: LoadError;
  readonly alerts?: LoadError;
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
  #newestEventAt: number | null | undefined;
  #arrived = 0;
  #epoch = 0;
  #channel: RealtimeChannel | undefined;
  #frame: number | undefined;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #resubscribe: ReturnType<typeof setTimeout> | undefined;
  #answerDue: ReturnType<typeof setTimeout> | undefined;
  #loads = 0;
  #subscriptions = 0;
  #stopped = false;
  readonly #stopWatching: () => void;

  constructor(key: string) {
    this.client = makeClient(key, {
      clock: this.clock,
      refused: () => this.#happened('refused'),
      heartbeat: (status) => this.#heartbeat(status),
    });
    this.#stopWatching = watchWaking({
      woke: (asleepMs) => this.#woke(asleepMs),
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
    this.#stopWatching();
    for (const timer of [this.#retry, this.#resubscribe, this.#answerDue]) clearTimeout(timer);
    if (this.#frame !== undefined) cancelAnimationFrame(this.#frame);
    void this.client.removeAllChannels();
    void this.client.realtime.disconnect();
  }

  /** Loads everything once more, now. */
  readonly reload = (): void => {
    clearTimeout(this.#retry);
    void this.#catchUp(0);
  };

  /** An alert as the page knows it to be by now; the server's own word follows. */
  changeAlert(alert: Alert): void {
    this.#alerts.set(alert.id, alert);
    this.#publishSoon();
  }

  #subscribe(): void {
    if (this.#stopped) return;
    const pulse = { schema: 'public', table: 'metrics_pulse' } as const;
    const takePulse = ({ new: row }: { new: Record<string, unknown> }) => this.#takePulse(readBucket(row));
    const takeAlert = ({ new: row }: { new: Record<string, unknown> }) => this.#takeAlert(readAlert(row));
    const alerts = { schema: 'public', table: 'system_alerts' } as const;
    const channel = this.client
      // A name of its own each time: the client would hand out the one that is still leaving.
      .channel(`live-${++this.#subscriptions}`)
      .on('postgres_changes', { event: 'INSERT', ...pulse }, takePulse)
      .on('postgres_changes', { event: 'UPDATE', ...pulse }, takePulse)
      .on('postgres_changes', { event: 'INSERT', ...alerts }, takeAlert)
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
    const [metrics, alerts] = await Promise.allSettled([
      Promise.all([
        loadMetrics(client, { since: clock.now() - heldMs, stepSeconds: 60 }),
        loadNewestEventAt(client, clock.now()),
      ]),
      loadOpenAlerts(client),
    ]);
    if (load !== this.#loads || this.#stopped) return;
    this.#loading = undefined;
    // One that fails does not hide the other.
    if (metrics.status === 'fulfilled') {
      const [buckets, newestEventAt] = metrics.value;
      for (const bucket of buckets) next.minutes.merge(bucket);
      this.#minutes = next.minutes;
      this.#newestEventAt = later(this.#newestEventAt, newestEventAt);
      this.#epoch++;
    }
    if (alerts.status === 'fulfilled') {
      for (const alert of alerts.value) if (!next.alerts.has(alert.id)) next.alerts.set(alert.id, alert);
      this.#alerts = next.alerts;
      this.#alertsLoaded = true;
    }
    this.#publish();
    this.failures.set({
      ...(metrics.status === 'rejected' && { metrics: asLoadError(metrics.reason) }),
      ...(alerts.status === 'rejected' && { alerts: asLoadError(alerts.reason) }),
    });
    if (metrics.status === 'fulfilled') this.#happened('caughtUp');
    if (metrics.status === 'rejected' || alerts.status === 'rejected') {
      this.#retry = setTimeout(() => void this.#catchUp(tries + 1), reconnectAfterMs(tries + 2));
    }
  }

  #takePulse(row: Bucket): void {
    this.clock.observe(row.updatedAt);
    this.#loading?.minutes.merge(row);
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
    this.#publishSoon();
  }

  /** At most once a frame, and never while the tab is hidden. */
  #publishSoon(): void {
    this.#frame ??= requestAnimationFrame(() => this.#publish());
  }

  #publish(): void {
    if (this.#frame !== undefined) cancelAnimationFrame(this.#frame);
    this.#frame = undefined;
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
      clearTimeout(this.#answerDue);
      if (this.connection.get().phase === 'doubtful') {
        this.#happened('answered');
        this.reload();
      }
    } else if (status === 'timeout' || status === 'error') {
      this.#happened('lost');
    }
  }

  /** Whether the socket survived the sleep is asked, not assumed. */
  #woke(asleepMs: number): void {
    if (asleepMs > answerMs) this.clock.forget();
    this.#happened('woke');
    if (this.connection.get().phase !== 'doubtful') return;
    clearTimeout(this.#answerDue);
    this.#answerDue = setTimeout(() => void this.#reconnect(), answerMs);
    if (this.client.realtime.isConnected()) void this.client.realtime.sendHeartbeat();
    else void this.#reconnect();
  }

  async #reconnect(): Promise<void> {
    if (this.#stopped) return;
    clearTimeout(this.#answerDue);
    clearTimeout(this.#resubscribe);
    this.#happened('lost');
    // Not the same channel again: on a socket that never said goodbye it believes that it is still joined.
    const old = this.#channel;
    this.#channel = undefined;
    if (old !== undefined) void this.client.removeChannel(old);
    await this.client.realtime.disconnect();
    this.#subscribe();
  }

  #happened(event: ConnectionEvent): void {
    this.connection.set(step(this.connection.get(), event, Date.now()));
  }
}

function asLoadError(reason: unknown): LoadError {
  return reason instanceof LoadError ? reason : new LoadError(String(reason), 0);
}

function later(known: number | null | undefined, heard: number | null): number | null {
  if (known === undefined || known === null) return heard;
  return heard === null ? known : Math.max(known, heard);
}
