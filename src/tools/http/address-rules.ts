/**
 * Which addresses a step may reach (design §9). Pure. The host has been through the WHATWG URL parser, so decimal, octal
 * and hexadecimal spellings of IPv4 are dotted quads here.
 */
import * as ipaddr from 'ipaddr.js';

export interface Target {
  /** As in a URL, without brackets. */
  readonly host: string;
  readonly port: number;
}

type Rule =
  | { readonly kind: 'host'; readonly matches: (host: string) => boolean; readonly port: number | null }
  | { readonly kind: 'network'; readonly network: readonly [ipaddr.IPv4 | ipaddr.IPv6, number]; readonly port: number | null };
export type AllowList = readonly Rule[];

/**
 * Reads the entries of `SIGNALBOX_HTTP_ALLOW`: `host`, `host:port`, `*.domain`, `address`, `address:port`, `[v6]:port`, `network/bits`.
 * @throws Error naming the entry that is none of these
 */
export const parseAllowList = (entries: readonly string[]): AllowList => entries.map(parseRule);

function parseRule(entry: string): Rule {
  if (entry.includes('/')) return { kind: 'network', network: parseNetwork(entry), port: null };
  const { host, port } = splitPort(entry);
  if (ipaddr.isValid(host)) {
    const address = ipaddr.process(host);
    return { kind: 'network', network: [address, address.kind() === 'ipv4' ? 32 : 128], port };
  }
  const name = canonicalHost(host);
  if (!/^(\*\.)?[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?$/.test(name))
    throw new Error(`SIGNALBOX_HTTP_ALLOW: "${entry}" is no host, address or network`);
  const matches = name.startsWith('*.') ? (other: string) => other.endsWith(name.slice(1)) : (other: string) => other === name;
  return { kind: 'host', matches, port };
}

function parseNetwork(entry: string): readonly [ipaddr.IPv4 | ipaddr.IPv6, number] {
  try {
    return ipaddr.parseCIDR(entry);
  } catch {
    throw new Error(`SIGNALBOX_HTTP_ALLOW: "${entry}" is no network (expected address/bits)`);
  }
}

function splitPort(entry: string): { readonly host: string; readonly port: number | null } {
  const match = /^(?:\[([^\]]+)\]|([^:]+))(?::(\d{1,5}))?$/.exec(entry);
  if (match === null) return { host: entry, port: null };
  return { host: match[1] ?? match[2] ?? entry, port: match[3] === undefined ? null : Number(match[3]) };
}

const canonicalHost = (host: string): string => host.toLowerCase().replace(/\.$/, '');

/** Whether the name itself is allowed, whatever it resolves to. */
export function isHostAllowed(target: Target, allow: AllowList): boolean {
  const host = canonicalHost(target.host);
  return allow.some((rule) => rule.kind === 'host' && rule.matches(host) && portFits(rule, target));
}

/** Whether the operator speaks of this host by name, or of all its addresses: more trust than that it is public. */
export function isListed(target: Target, addresses: readonly string[], allow: AllowList): boolean {
  if (isHostAllowed(target, allow)) return true;
  return addresses.every((address) => {
    const parsed = ipaddr.process(address);
    return allow.some((rule) => rule.kind === 'network' && portFits(rule, target) && inNetwork(parsed, rule.network));
  });
}

/** Why the address may not be reached, or undefined when it may. */
export function refusalOf(address: string, target: Target, allow: AllowList): string | undefined {
  if (!ipaddr.isValid(address)) return 'not an address';
  const parsed = ipaddr.process(address);
  if (allow.some((rule) => rule.kind === 'network' && portFits(rule, target) && inNetwork(parsed, rule.network))) return undefined;
  return rangeRefusal(parsed);
}

const portFits = (rule: Rule, target: Target): boolean => rule.port === null || rule.port === target.port;

function inNetwork(address: ipaddr.IPv4 | ipaddr.IPv6, [network, bits]: readonly [ipaddr.IPv4 | ipaddr.IPv6, number]): boolean {
  return address.kind() === network.kind() && address.match(network, bits);
}

/**
 * Only global unicast is let through: every range that the library knows by another name is refused, also those added to
 * it later. Mapped IPv6 was turned into IPv4 before; `::a.b.c.d` is the one old form that it takes for unicast.
 */
function rangeRefusal(address: ipaddr.IPv4 | ipaddr.IPv6): string | undefined {
  const range = address.range();
  if (range !== 'unicast') return range;
  if (address.kind() === 'ipv6' && (address as ipaddr.IPv6).parts.slice(0, 6).every((part) => part === 0)) return 'ipv4Compatible';
  return undefined;
}
