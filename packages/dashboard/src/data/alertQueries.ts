import type { SupabaseClient } from '@supabase/supabase-js';
import { readKey } from './access.ts';
import { type AlertRule, readRule, ruleColumns } from './alertRule.ts';
import {
  type Incident,
  type IncidentAlert,
  readIncident,
  readIncidentAlert,
  readSilence,
  readTimelineEntry,
  type Silence,
  type TimelineEntry,
} from './incident.ts';
import { LoadError, rowsOf } from './queries.ts';

/** What the Alerts page asks for and changes. Changes need a service key where there are keys. */

const openShown = 100;
const timelineShown = 500;
const alertsShown = 100;
const timeoutMs = 20_000;
/** A quarter of a year by the minute takes a minute or so. */
const backtestTimeoutMs = 120_000;

export async function loadOpenIncidents(client: SupabaseClient): Promise<readonly Incident[]> {
  return rowsOf(
    await client
      .from('incidents')
      .select('*')
      .is('closed_at', null)
      // 'critical' stands before 'warning'.
      .order('severity')
      .order('opened_at', { ascending: false })
      .limit(openShown)
      .retry(false),
  ).map(readIncident);
}

export async function loadClosedIncidents(
  client: SupabaseClient,
  limit: number,
): Promise<readonly Incident[]> {
  return rowsOf(
    await client
      .from('incidents')
      .select('*')
      .not('closed_at', 'is', null)
      .order('closed_at', { ascending: false })
      .limit(limit)
      .retry(false),
  ).map(readIncident);
}

export interface WholeIncident {
  readonly incident: Incident;
  /** The gravest and oldest first. */
  readonly alerts: readonly IncidentAlert[];
  /** Oldest first. */
  readonly timeline: readonly TimelineEntry[];
}

/** @returns null when there is no such incident */
export async function loadIncident(client: SupabaseClient, id: number): Promise<WholeIncident | null> {
  const [incidents, alerts, timeline] = await Promise.all([
    client.from('incidents').select('*').eq('id', id).retry(false),
    client
      .from('system_alerts')
      .select('*')
      .eq('incident_id', id)
      .order('severity')
      .order('id')
      .limit(alertsShown)
      .retry(false),
    client
      .from('incident_timeline')
      .select('*')
      .eq('incident_id', id)
      .order('at')
      .limit(timelineShown)
      .retry(false),
  ]);
  const [found] = rowsOf(incidents);
  if (found === undefined) return null;
  return {
    incident: readIncident(found),
    alerts: rowsOf(alerts).map(readIncidentAlert),
    timeline: rowsOf(timeline).map(readTimelineEntry),
  };
}

/** Those that hold or will. */
export async function loadSilences(client: SupabaseClient, now: number): Promise<readonly Silence[]> {
  return rowsOf(
    await client
      .from('alert_silences')
      .select('*')
      .is('ended_at', null)
      .gt('ends_at', new Date(now).toISOString())
      .order('starts_at')
      .limit(openShown)
      .retry(false),
  ).map(readSilence);
}

export async function loadRules(client: SupabaseClient): Promise<readonly AlertRule[]> {
  return rowsOf(await client.from('alert_rules').select('*').order('name').retry(false)).map(readRule);
}

export interface Channel {
  readonly name: string;
  readonly kind: string;
  readonly enabled: boolean;
  readonly source: string;
  readonly state: 'working' | 'failing' | 'untried';
  readonly waiting: number;
  readonly lastDeliveredAt: number | null;
  readonly lastError: string | null;
}

export async function loadChannels(): Promise<readonly Channel[]> {
  const rows = (await ask('/alerts/channels')) as readonly Readonly<Record<string, unknown>>[];
  return rows.map((row) => ({
    name: String(row.name),
    kind: String(row.kind),
    enabled: row.enabled !== false,
    source: String(row.source),
    state: row.state === 'working' || row.state === 'failing' ? row.state : 'untried',
    waiting: Number(row.waiting ?? 0),
    lastDeliveredAt: typeof row.last_delivered_at === 'string' ? Date.parse(row.last_delivered_at) : null,
    lastError: typeof row.last_error === 'string' ? row.last_error : null,
  }));
}

/** @returns undefined when the message arrived, else why it did not */
export async function testChannel(name: string): Promise<string | undefined> {
  const { delivered, error } = (await ask('/alerts/channels/test', { name })) as {
    delivered?: boolean;
    error?: string;
  };
  return delivered === true ? undefined : (error ?? 'it was not delivered');
}

export interface BacktestResult {
  readonly since: string;
  readonly until: string;
  readonly alerts: readonly {
    readonly labels: Readonly<Record<string, string>>;
    readonly severity: string;
    readonly opened_at: string;
    readonly resolved_at: string | null;
    readonly delay_seconds: number;
    readonly message: string;
  }[];
  readonly count: number;
  readonly per_week: number;
  readonly current?: { readonly count: number; readonly per_week: number };
  readonly notes: readonly string[];
}

/** What the rule would have done. @throws LoadError naming the field at fault */
export async function backtestRule(rule: AlertRule, since: number): Promise<BacktestResult> {
  const body = { rule: ruleColumns(rule), since: new Date(since).toISOString() };
  return (await ask('/alerts/backtest', body, backtestTimeoutMs)) as BacktestResult;
}

/** @returns how many alerts were not acknowledged before */
export async function acknowledgeIncident(client: SupabaseClient, id: number, by: string): Promise<number> {
  return Number(await call(client, 'acknowledge_incident', { incident_id: id, by }));
}

/** As if nobody had taken it in hand: it is repeated again. */
export async function takeBackAcknowledgement(client: SupabaseClient, id: number): Promise<void> {
  check(
    await client
      .from('system_alerts')
      .update({ acknowledged: false })
      .eq('incident_id', id)
      .eq('status', 'firing'),
  );
}

export interface NewSilence {
  readonly matchers: Readonly<Record<string, string>>;
  readonly minutes: number;
  readonly reason: string;
  readonly by: string;
}

/** @returns its id */
export async function silence(client: SupabaseClient, given: NewSilence): Promise<number> {
  const { matchers, minutes, reason, by } = given;
  return Number(
    await call(client, 'silence_alerts', { matchers, for_interval: `${minutes} minutes`, reason, by }),
  );
}

export async function endSilence(client: SupabaseClient, id: number): Promise<void> {
  await call(client, 'end_silence', { id });
}

export interface NewMaintenance {
  readonly startsAt: number;
  readonly endsAt: number;
  readonly matchers: Readonly<Record<string, string>>;
  readonly reason: string;
  readonly by: string;
}

export async function planMaintenance(client: SupabaseClient, given: NewMaintenance): Promise<void> {
  const { startsAt, endsAt, ...others } = given;
  await call(client, 'maintenance_window', {
    starts_at: new Date(startsAt).toISOString(),
    ends_at: new Date(endsAt).toISOString(),
    ...others,
  });
}

export async function saveRule(client: SupabaseClient, rule: AlertRule, isNew: boolean): Promise<void> {
  const columns = {
    ...ruleColumns(rule),
    repeat_interval_seconds: rule.repeatIntervalSeconds,
    enabled: rule.enabled,
  };
  const table = client.from('alert_rules');
  check(isNew ? await table.insert(columns) : await table.update(columns).eq('name', rule.name));
}

export async function deleteRule(client: SupabaseClient, name: string): Promise<void> {
  check(await client.from('alert_rules').delete().eq('name', name));
}

async function call(client: SupabaseClient, name: string, given: object): Promise<unknown> {
  const answer = await client.rpc(name, given);
  // To a key that may not call it, it does not exist.
  if (answer.status === 404) throw new LoadError('this needs a service key', 403);
  check(answer);
  return answer.data;
}

function check({ error, status }: { error: { readonly message: string } | null; status: number }): void {
  if (error !== null)
    throw new LoadError(status === 0 ? 'The server does not answer.' : error.message, status);
}

/** Beside the tables: `GET` without a body, else `POST`. */
async function ask(path: string, body?: object, withinMs = timeoutMs): Promise<unknown> {
  const key = readKey();
  let answer: Response;
  try {
    answer = await fetch(path, {
      method: body === undefined ? 'GET' : 'POST',
      headers: { 'content-type': 'application/json', apikey: key, authorization: `Bearer ${key}` },
      ...(body !== undefined && { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(withinMs),
    });
  } catch (error) {
    throw new LoadError('The server does not answer.', 0, { cause: error });
  }
  const said = (await answer.json().catch(() => undefined)) as
    | { readonly message?: string; readonly field?: string }
    | undefined;
  if (!answer.ok)
    throw new LoadError(said?.message ?? `${path} answers ${answer.status}.`, answer.status, {
      cause: said?.field,
    });
  return said;
}
