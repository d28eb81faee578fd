/**
 * The allow-list of the public interface: which relations, columns and functions a key may touch. REST and
 * realtime both ask here, so that what one door hides the other cannot show. A relation that is not listed
 * does not exist for a client, whatever the database holds.
 */
import type { Column, Relation } from './catalog.ts';

/** `anon` reads what is published; only `service` sees everything published and changes anything. */
export type Scope = 'anon' | 'service';

export type WriteAction = 'insert' | 'update' | 'delete';

export interface Publication {
  /** Names of every relation that this scope may read, for suggestions and wildcard subscriptions. */
  relationNames(scope: Scope): readonly string[];
  mayRead(scope: Scope, relationName: string): boolean;
  /** The relation's columns that this scope may see, in attnum order; none when it may not read it. */
  readableColumns(scope: Scope, relation: Relation): readonly Column[];
  /** The columns that this scope may set (for `delete`: all), or undefined when it may not do it at all. */
  writableColumns(scope: Scope, action: WriteAction, relation: Relation): readonly Column[] | undefined;
  functionNames(scope: Scope): readonly string[];
  mayCall(scope: Scope, functionName: string): boolean;
  /** Whether calling it changes something. */
  writes(functionName: string): boolean;
  /** The first argument whose value this scope may not pass, or undefined when the call is allowed. */
  refusedArgument(
    scope: Scope,
    functionName: string,
    values: ReadonlyMap<string, unknown>,
  ): string | undefined;
}

interface PublicationOptions {
  /** Opt-in: show anon keys the columns that may hold personal data. */
  anonSeesPersonalColumns?: boolean;
}

interface PublishedRelation {
  /** Columns that an anon key does not see: what applications put there may be personal. */
  personal?: readonly string[];
  /** Columns that no key sees; a service key may set them. */
  secret?: readonly string[];
  serviceOnly?: true;
  insert?: ColumnRule;
  update?: ColumnRule;
  delete?: true;
}

type ColumnRule = (column: string) => boolean;

const RELATIONS: Readonly<Record<string, PublishedRelation>> = {
  inference_logs: {
    personal: ['user_id', 'metadata', 'error_message'],
    // `id` comes from the sequence only: the feed names id ranges and must never meet a chosen one.
    insert: (column) => column !== 'id',
  },
  system_alerts: {
    // An explanation names users and quotes errors; a note is of one person to others who work on it.
    personal: ['explanation', 'acknowledged_by', 'acknowledge_note'],
    insert: (column) => column !== 'id',
    // Everything else of an alert belongs to the alert state machine.
    update: (column) => column === 'acknowledged',
  },
  inference_metrics_hourly: {},
  daily_metrics_summary: {},
  daily_metrics_trend: {},
  weekly_metrics_trend: {},
  monthly_metrics_trend: {},
  metrics_pulse: {},
  metrics_hour_totals: {},
  pipeline_status: {},
  // Whose events they are is nobody's business but the operator's.
  sampling_keep: { personal: ['value', 'reason'], insert: () => true, update: () => true, delete: true },
  alert_rules: { insert: () => true, update: () => true, delete: true },
  incidents: { personal: ['acknowledged_by'] },
  incident_timeline: { personal: ['who', 'note'] },
  alert_silences: { personal: ['reason', 'created_by'] },
  alert_channels: {
    serviceOnly: true,
    secret: ['secrets'],
    insert: () => true,
    update: () => true,
    delete: true,
  },
};

interface PublishedFunction {
  serviceOnly?: true;
  /** It writes: called by POST only, outside the read-only transactions of the others. */
  writes?: true;
  /** Values that an anon key may pass for an argument; every other value needs a service key. */
  anonValues?: Readonly<Record<string, readonly string[]>>;
}

const FUNCTIONS: Readonly<Record<string, PublishedFunction>> = {
  metrics: {},
  metrics_total: {},
  compare_versions: {},
  experiment_results: {},
  drift_report: {},
  // Grouped by user it would tell an anon key the user ids that `inference_logs` hides from it.
  cost_report: {
    anonValues: { group_by: ['model_version', 'feature', 'variant', 'provider', 'day'] },
  },
  loss_accounting: {},
  // It reads rows, of one user if asked: dear, and nobody's business but the operator's.
  estimate_events: { serviceOnly: true },
  model_leaderboard: {},
  // Recomputes every stored summary: an operator's tool, too dear for a public key.
  nowcast_recompute_check: { serviceOnly: true },
  acknowledge_alert: { serviceOnly: true, writes: true },
  acknowledge_incident: { serviceOnly: true, writes: true },
  silence_alerts: { serviceOnly: true, writes: true },
  end_silence: { serviceOnly: true, writes: true },
  maintenance_window: { serviceOnly: true, writes: true },
};

export function publish(options: PublicationOptions = {}): Publication {
  const mayRead = (scope: Scope, name: string) =>
    Object.hasOwn(RELATIONS, name) && (scope === 'service' || RELATIONS[name]?.serviceOnly !== true);
  const hiddenFrom = (scope: Scope, name: string): readonly string[] => [
    ...(RELATIONS[name]?.secret ?? []),
    ...(scope === 'service' || options.anonSeesPersonalColumns ? [] : (RELATIONS[name]?.personal ?? [])),
  ];
  const mayCall = (scope: Scope, name: string) =>
    Object.hasOwn(FUNCTIONS, name) && (scope === 'service' || FUNCTIONS[name]?.serviceOnly !== true);

  return {
    relationNames: (scope) => Object.keys(RELATIONS).filter((name) => mayRead(scope, name)),
    mayRead,
    readableColumns(scope, relation) {
      if (!mayRead(scope, relation.name)) return [];
      const hidden = hiddenFrom(scope, relation.name);
      return relation.columns.filter((column) => !hidden.includes(column.name));
    },
    writableColumns(scope, action, relation) {
      if (scope !== 'service' || !mayRead(scope, relation.name)) return undefined;
      const rule = RELATIONS[relation.name]?.[action];
      if (rule === undefined) return undefined;
      return rule === true ? relation.columns : relation.columns.filter((column) => rule(column.name));
    },
    functionNames: (scope) => Object.keys(FUNCTIONS).filter((name) => mayCall(scope, name)),
    mayCall,
    writes: (name) => Object.hasOwn(FUNCTIONS, name) && FUNCTIONS[name]?.writes === true,
    refusedArgument(scope, name, values) {
      if (scope === 'service') return undefined;
      for (const [argument, allowed] of Object.entries(FUNCTIONS[name]?.anonValues ?? {})) {
        const value = values.get(argument);
        if (value !== undefined && !(typeof value === 'string' && allowed.includes(value))) return argument;
      }
      return undefined;
    },
  };
}
