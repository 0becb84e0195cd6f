import { setTimeout as sleep } from 'node:timers/promises';
import { Connection, isGrpcServiceError } from '@temporalio/client';
import { SEARCH_ATTRIBUTE_NAMES } from './temporal.js';

const KEYWORD = 2; // temporal.api.enums.v1.IndexedValueType
/** Servers started together come up in any order. */
const CONNECT_MS = 60_000;

/**
 * Registers our search attributes with a Temporal server that is not ours; what is there already stays. A server that does not let us
 * (permission, Temporal Cloud) must have them from its operator: that is said, not thrown.
 */
export async function ensureSearchAttributes(address: string, namespace: string, log: (line: string) => void): Promise<void> {
  const connection = await connect(address, log);
  try {
    const { customAttributes } = await connection.operatorService.listSearchAttributes({ namespace });
    const missing = SEARCH_ATTRIBUTE_NAMES.filter((name) => customAttributes[name] === undefined);
    if (missing.length === 0) return;
    log(`registering search attributes with ${address}: ${missing.join(', ')}`);
    await connection.operatorService.addSearchAttributes({
      namespace,
      searchAttributes: Object.fromEntries(missing.map((name) => [name, KEYWORD])),
    });
  } catch (error) {
    if (isGrpcServiceError(error) && error.details.includes('already exists')) return;
    const reason = error instanceof Error ? error.message : String(error);
    log(`could not register the search attributes ${SEARCH_ATTRIBUTE_NAMES.join(', ')} (Keyword) in ${namespace}: ${reason}`);
  } finally {
    await connection.close();
  }
}

async function connect(address: string, log: (line: string) => void): Promise<Connection> {
  for (const until = Date.now() + CONNECT_MS; ; await sleep(1_000)) {
    try {
      return await Connection.connect({ address, connectTimeout: '5s' });
    } catch (cause) {
      if (Date.now() > until) throw new Error(`no Temporal server answers at ${address}`, { cause });
      log(`waiting for Temporal at ${address}`);
    }
  }
}
