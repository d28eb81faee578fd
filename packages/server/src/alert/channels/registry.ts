import type pg from 'pg';
import type { Channel } from './channel.ts';
import type { AddressGuard } from './http/addressGuard.ts';
import { makeChannel, type ServiceUrls } from './make.ts';
import { type ChannelSpec, channelSpec, fingerprintOf } from './spec.ts';

/** A channel and whether news may go to it. */
export interface KnownChannel {
  readonly name: string;
  readonly kind: string;
  readonly source: Channel['source'];
  readonly enabled: boolean;
  /** What is wrong with its configuration; then there is no channel. */
  readonly broken: string | undefined;
  readonly channel: Channel | undefined;
}

interface TableRow {
  readonly name: string;
  readonly kind: string;
  readonly enabled: boolean;
  readonly min_severity: string;
  readonly matchers: unknown;
  readonly config: Record<string, unknown>;
  readonly secrets: Record<string, unknown>;
}

/** All channels: those of the environment and of the configuration file, which stay, and those of the table, read anew. */
export class ChannelRegistry {
  readonly #pool: pg.Pool;
  readonly #fixed: readonly KnownChannel[];
  readonly #guard: AddressGuard;
  readonly #services: ServiceUrls;
  /** What was made last, so that an unchanged channel is not made again. */
  #made = new Map<string, Channel>();

  constructor(pool: pg.Pool, fixed: readonly ChannelSpec[], guard: AddressGuard, services: ServiceUrls) {
    this.#pool = pool;
    this.#guard = guard;
    this.#services = services;
    this.#fixed = fixed.map((spec) => this.#known(spec));
  }

  async read(): Promise<readonly KnownChannel[]> {
    const { rows } = await this.#pool.query<TableRow>(
      'select name, kind, enabled, min_severity, matchers, config, secrets from public.alert_channels order by name',
    );
    const before = this.#made;
    this.#made = new Map();
    const known = [...this.#fixed];
    for (const row of rows) {
      const { name, kind, enabled } = row;
      const taken = this.#fixed.find((channel) => channel.name === name);
      const broken = (problem: string): KnownChannel => ({
        name,
        kind,
        source: 'table',
        enabled,
        broken: problem,
        channel: undefined,
      });
      if (taken !== undefined) {
        known.push(broken(`the name is taken by a channel of the ${taken.source}`));
        continue;
      }
      try {
        known.push(this.#known(channelSpec(flat(row), `alert_channels.${name}`, 'table'), before));
      } catch (error) {
        known.push(broken((error as Error).message));
      }
    }
    return known;
  }

  #known(spec: ChannelSpec, before: ReadonlyMap<string, Channel> = this.#made): KnownChannel {
    const { name, kind, source, enabled } = spec;
    const key = JSON.stringify([name, fingerprintOf(spec), spec.minSeverity, spec.matchers]);
    const channel = before.get(key) ?? makeChannel(spec, this.#guard, this.#services);
    this.#made.set(key, channel);
    return { name, kind, source, enabled, broken: undefined, channel };
  }
}

function flat({ name, kind, enabled, min_severity, matchers, config, secrets }: TableRow): object {
  return { ...config, ...secrets, name, kind, enabled, min_severity, matchers };
}
