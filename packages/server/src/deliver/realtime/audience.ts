/**
 * Who listens to what. Sockets with the same set of channels form a group: what a publish sends is
 * worked out and encoded once per group, then the same bytes go to every member.
 */
import { createHash } from 'node:crypto';
import type { Matcher } from './filter-match.ts';
import type { ChangeType, Projection, Subscription } from './subscription.ts';
import { encodeHead, type Vsn } from './wire.ts';

/** One joined channel, ready for fan-out. Equal channels of different sockets have equal keys. */
export interface Registration {
  readonly topic: string;
  readonly key: string;
  readonly routes: ReadonlyMap<string, Route>;
}

/** What one channel wants of one table. */
export interface Route {
  /** Equal for equal wishes: names the encoded frame. */
  readonly key: string;
  readonly vsn: Vsn;
  readonly topic: string;
  readonly head: Buffer;
  readonly bindings: readonly RouteBinding[];
}

interface RouteBinding {
  readonly id: number;
  readonly event: ChangeType | '*';
  readonly matches: Matcher;
  readonly projection: Projection;
}

export function registration(vsn: Vsn, topic: string, subscriptions: readonly Subscription[]): Registration {
  const bindings = new Map<string, RouteBinding[]>();
  const wishes: unknown[] = [];
  for (const { spec, id, event, tables } of subscriptions) {
    for (const [table, { matches, projection }] of tables) {
      wishes.push([spec, id, projection.key]);
      const list = bindings.get(table) ?? [];
      list.push({ id, event, matches, projection });
      bindings.set(table, list);
    }
  }
  // The projection is part of the key: keys of different scopes see different columns of the same table.
  const key = createHash('sha1')
    .update(JSON.stringify([vsn, topic, wishes]))
    .digest('base64');
  const head = Buffer.from(encodeHead(vsn, topic, 'postgres_changes'));
  const routes = new Map<string, Route>();
  for (const [table, list] of bindings) routes.set(table, { key, vsn, topic, head, bindings: list });
  return { topic, key, routes };
}

export interface Group<M> {
  readonly key: string;
  readonly members: Set<M>;
  readonly routes: ReadonlyMap<string, readonly Route[]>;
}

export class Audience<M> {
  readonly #channels = new Map<M, Map<string, Registration>>();
  readonly #groupOf = new Map<M, Group<M>>();
  readonly #groups = new Map<string, Group<M>>();
  readonly #groupsByTable = new Map<string, Set<Group<M>>>();
  readonly #channelCounts = new Map<string, number>();
  readonly #onCount: (table: string, count: number) => void;

  constructor(onCount: (table: string, count: number) => void) {
    this.#onCount = onCount;
  }

  add(member: M, channel: Registration): void {
    const channels = this.#channels.get(member) ?? new Map<string, Registration>();
    channels.set(channel.topic, channel);
    this.#channels.set(member, channels);
    this.#regroup(member, channels);
    this.#count(channel, 1);
  }

  remove(member: M, channel: Registration): void {
    const channels = this.#channels.get(member);
    if (channels?.get(channel.topic) !== channel) return;
    channels.delete(channel.topic);
    if (channels.size === 0) this.#channels.delete(member);
    this.#regroup(member, channels);
    this.#count(channel, -1);
  }

  groups(table: string): Iterable<Group<M>> {
    return this.#groupsByTable.get(table) ?? [];
  }

  channelCount(table: string): number {
    return this.#channelCounts.get(table) ?? 0;
  }

  #regroup(member: M, channels: ReadonlyMap<string, Registration>): void {
    const previous = this.#groupOf.get(member);
    if (previous !== undefined) this.#leave(member, previous);
    const interested = [...channels.values()].filter((channel) => channel.routes.size > 0);
    if (interested.length === 0) return;
    interested.sort((a, b) => (a.key < b.key ? -1 : 1));
    const key = interested.map((channel) => channel.key).join(' ');
    const group = this.#groups.get(key) ?? this.#create(key, interested);
    group.members.add(member);
    this.#groupOf.set(member, group);
  }

  #create(key: string, channels: readonly Registration[]): Group<M> {
    const routes = new Map<string, Route[]>();
    for (const channel of channels) {
      for (const [table, route] of channel.routes) {
        const list = routes.get(table) ?? [];
        list.push(route);
        routes.set(table, list);
      }
    }
    const group: Group<M> = { key, members: new Set(), routes };
    this.#groups.set(key, group);
    for (const table of routes.keys()) {
      const groups = this.#groupsByTable.get(table) ?? new Set();
      groups.add(group);
      this.#groupsByTable.set(table, groups);
    }
    return group;
  }

  #leave(member: M, group: Group<M>): void {
    this.#groupOf.delete(member);
    group.members.delete(member);
    if (group.members.size > 0) return;
    this.#groups.delete(group.key);
    for (const table of group.routes.keys()) this.#groupsByTable.get(table)?.delete(group);
  }

  #count(channel: Registration, by: 1 | -1): void {
    for (const table of channel.routes.keys()) {
      const count = this.channelCount(table) + by;
      this.#channelCounts.set(table, count);
      this.#onCount(table, count);
    }
  }
}
