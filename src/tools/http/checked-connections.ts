import { lookup as systemLookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { Agent, buildConnector } from 'undici';
import { StepFault } from '../step-fault.js';
import { isHostAllowed, refusalOf, type AllowList, type Target } from './address-rules.js';

export interface ResolvedAddress {
  readonly address: string;
  readonly family: number;
}
/** All addresses of a name; rejects when there is none. The system's resolver unless a test brings its own. */
export type Resolver = (host: string) => Promise<readonly ResolvedAddress[]>;

export const resolveBySystem: Resolver = (host) => systemLookup(host, { all: true, verbatim: true });

/**
 * Addresses of the target that were checked.
 * @throws StepFault `http_blocked` if a single one may not be reached (a name that mixes public and private addresses is
 * hostile), `http_unreachable` if the name has none
 */
export async function checkedAddresses(target: Target, allow: AllowList, resolve: Resolver): Promise<readonly ResolvedAddress[]> {
  const family = isIP(target.host);
  const addresses = family === 0 ? await resolveOrFail(target.host, resolve) : [{ address: target.host, family }];
  if (isHostAllowed(target, allow)) return addresses;
  for (const { address } of addresses) {
    const refusal = refusalOf(address, target, allow);
    if (refusal === undefined) continue;
    throw new StepFault('http_blocked', `${target.host} is not to be reached: ${address} is ${refusal}`, {
      details: { host: target.host, address, reason: refusal },
    });
  }
  return addresses;
}

async function resolveOrFail(host: string, resolve: Resolver): Promise<readonly ResolvedAddress[]> {
  try {
    const addresses = await resolve(host);
    if (addresses.length > 0) return addresses;
  } catch (error) {
    const cause = error instanceof Error ? error.message : String(error);
    throw new StepFault('http_unreachable', `${host} could not be resolved: ${cause}`, {
      retryable: true,
      details: { host, cause },
      cause: error,
    });
  }
  throw new StepFault('http_unreachable', `${host} has no address`, { retryable: true, details: { host } });
}

const CONNECT_TIMEOUT_MS = 10_000;
/** Shorter than what servers commonly allow, so that a request rarely meets a connection that is just being closed. */
const KEEP_ALIVE_MS = 1_000;

/**
 * Connections that go only where the rules allow. The check is part of connecting: the socket is given the very addresses
 * that were checked and no name, so nothing can change in between; a connection that is used again was checked.
 */
export function createCheckedAgent(allow: AllowList, resolve: Resolver): Agent {
  return new Agent({
    connect: (options, callback) => {
      const host = options.hostname.replace(/^\[|\]$/g, '');
      const port = Number(options.port || (options.protocol === 'https:' ? 443 : 80));
      const connect = async () =>
        pinnedConnector(await checkedAddresses({ host, port }, allow, resolve))({ ...options, hostname: host }, callback);
      // oxlint-disable-next-line promise/no-callback-in-promise -- this is how undici wants to hear of it
      void connect().catch((error: unknown) => callback(error as Error, null));
    },
    keepAliveTimeout: KEEP_ALIVE_MS,
    keepAliveMaxTimeout: KEEP_ALIVE_MS,
    headersTimeout: 0,
    bodyTimeout: 0,
    connections: null,
  });
}

function pinnedConnector(addresses: readonly ResolvedAddress[]): buildConnector.connector {
  return buildConnector({
    timeout: CONNECT_TIMEOUT_MS,
    autoSelectFamily: addresses.length > 1,
    lookup: (_host, options, callback) => {
      const first = addresses[0] as ResolvedAddress;
      if (options.all === true)
        callback(
          null,
          addresses.map((entry) => ({ ...entry })),
        );
      else callback(null, first.address, first.family);
    },
  });
}
