import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';

export interface Address {
  readonly address: string;
  readonly family: 4 | 6;
}

/** Resolves a name to all its addresses. */
export type Resolve = (host: string) => Promise<readonly Address[]>;

/** A target that must not be reached; says which setting would allow it. */
export class ForbiddenTarget extends Error {
  override readonly name = 'ForbiddenTarget';
}

/**
 * Where messages may go: public addresses, and what `NOWCAST_WEBHOOK_ALLOW` names (hosts, addresses, CIDRs). Whoever may
 * write a channel must not reach the network behind the server by it (OWASP API7, server-side request forgery).
 */
export class AddressGuard {
  readonly #hosts: ReadonlySet<string>;
  readonly #ranges: readonly [ipaddr.IPv4 | ipaddr.IPv6, number][];
  readonly #resolve: Resolve;

  /** @throws Error naming the entry that is neither a host nor a CIDR */
  constructor(allow: readonly string[], resolve: Resolve = resolveAll) {
    this.#hosts = new Set(allow.filter((entry) => !isRange(entry)).map(normalHost));
    this.#ranges = allow.filter(isRange).map(rangeOf);
    this.#resolve = resolve;
  }

  /** Whether plain http may be spoken with it. */
  allows(host: string): boolean {
    const bare = normalHost(host);
    return this.#hosts.has(bare) || (isIP(bare) !== 0 && this.#inAllowedRange(bare));
  }

  /**
   * The address to connect to. It is the one that was checked: resolving again when connecting would let the name's owner
   * answer otherwise the second time (DNS rebinding).
   *
   * @throws ForbiddenTarget when any of its addresses may not be reached; Error when the name cannot be resolved
   */
  async check(host: string): Promise<Address> {
    const bare = normalHost(host);
    const family = isIP(bare);
    const found: readonly Address[] =
      family === 0 ? await this.#resolve(bare) : [{ address: bare, family: family as 4 | 6 }];
    const first = found[0];
    if (first === undefined) throw new Error('the host has no address');
    const allowedByName = this.#hosts.has(bare);
    const forbidden = found.find(
      ({ address }) => !allowedByName && !isPublic(address) && !this.#inAllowedRange(address),
    );
    if (forbidden !== undefined) {
      throw new ForbiddenTarget(
        'the host has an address that is not public; NOWCAST_WEBHOOK_ALLOW can allow it by host or CIDR',
      );
    }
    return first;
  }

  #inAllowedRange(address: string): boolean {
    const parsed = parse(address);
    return this.#ranges.some(
      ([range, bits]) => parsed.kind() === range.kind() && parsed.match([range, bits] as never),
    );
  }
}

/** Nothing but ordinary addresses of the internet: no private, link-local, shared, reserved, multicast or tunnelled ones. */
function isPublic(address: string): boolean {
  return parse(address).range() === 'unicast';
}

/** An IPv4 address inside an IPv6 one is judged as what it is; so is one that a translator would reach (NAT64). */
function parse(address: string): ipaddr.IPv4 | ipaddr.IPv6 {
  // A zone (fe80::1%eth0) does not change the range.
  return ipaddr.process(address.replace(/%.*$/, ''));
}

function isRange(entry: string): boolean {
  return entry.includes('/') || isIP(normalHost(entry)) !== 0;
}

function rangeOf(entry: string): [ipaddr.IPv4 | ipaddr.IPv6, number] {
  try {
    if (entry.includes('/')) return ipaddr.parseCIDR(entry);
    const address = parse(normalHost(entry));
    return [address, address.kind() === 'ipv4' ? 32 : 128];
  } catch {
    throw new Error(`"${entry}" is neither a host nor a CIDR`);
  }
}

function normalHost(host: string): string {
  return host
    .toLowerCase()
    .replace(/^\[(.*)\]$/, '$1')
    .replace(/\.$/, '');
}

async function resolveAll(host: string): Promise<readonly Address[]> {
  return (await lookup(host, { all: true, verbatim: true })) as Address[];
}
