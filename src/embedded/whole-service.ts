/** `SIGNALBOX_ROLE=all`: the servers that are not given, a worker and a gateway, all supervised by this process. */
import { mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Config, childEnvironment } from '../config.js';
import { applyMigrations } from '../store/migrate.js';
import { readPorts, writePorts } from './chosen-ports.js';
import type { CloseStack } from './close-stack.js';
import { freePort } from './free-port.js';
import { bootstrapKeyFile, bootstrapKeyIn, encryptionKeyIn } from './generated-secrets.js';
import { lockInstance } from './instance-lock.js';
import { loadExamples } from './load-examples.js';
import { startPostgres } from './postgres.js';
import { ensureSearchAttributes } from './search-attributes.js';
import { createServiceProcess } from './service-process.js';
import { startTemporal } from './temporal.js';

const READY_MS = 60_000;

type Log = (line: string) => void;

export interface WholeService {
  readonly url: string;
  readonly temporalUiUrl: string | undefined;
  readonly apiKey: { readonly value: string; readonly isNew: boolean; readonly place: string };
  /** Restarts worker and gateway, for `npm run dev`. */
  reload(): Promise<void>;
}

/** Compiled entry points, and the folder of examples. */
export interface Entries {
  readonly worker: string;
  readonly gateway: string;
  readonly examples: string;
}

export interface WholeServiceOptions {
  readonly config: Config;
  readonly entries: Entries;
  /** Filled as parts come up, also when a later one fails. It closes gateway, worker, Temporal, PostgreSQL, in this order. */
  readonly closing: CloseStack;
  readonly log: Log;
}

interface Servers {
  readonly databaseUrl: string;
  readonly temporalAddress: string;
  readonly temporalUiUrl: string | undefined;
}

/**
 * Starts everything and waits until it serves.
 * @throws with the reason, in words for the person at the terminal
 */
export async function startWholeService({ config, entries, closing, log }: WholeServiceOptions): Promise<WholeService> {
  const dataDir = resolve(config.dataDir);
  mkdirSync(dataDir, { recursive: true });
  await closing.push('the lock', { stop: await lockInstance(dataDir) });
  const encryptionKey = config.encryptionKey?.toString('base64') ?? encryptionKeyIn(dataDir).value;
  const apiKey = config.bootstrapKey === undefined ? bootstrapKeyIn(dataDir) : { value: config.bootstrapKey, isNew: false };
  const servers = await startServers(config, dataDir, closing, log);
  const applied = await applyMigrations(servers.databaseUrl);
  if (applied.length > 0) log(`applied ${applied.length === 1 ? 'a migration' : `${applied.length} migrations`}`);

  const port = await gatewayPort(config, log);
  const env = childEnvironment({
    PORT: String(port),
    DATABASE_URL: servers.databaseUrl,
    TEMPORAL_ADDRESS: servers.temporalAddress,
    SIGNALBOX_TEMPORAL_UI_URL: servers.temporalUiUrl,
    SIGNALBOX_ENCRYPTION_KEY: encryptionKey,
    SIGNALBOX_BOOTSTRAP_KEY: apiKey.value,
    SIGNALBOX_DATA_DIR: dataDir,
    LOG_FORMAT: config.log.format,
  });
  log('starting a worker and the gateway');
  const worker = createServiceProcess({
    name: 'the worker',
    script: entries.worker,
    env: { ...env, SIGNALBOX_ROLE: 'worker' },
    log,
  });
  const gateway = createServiceProcess({
    name: 'the gateway',
    script: entries.gateway,
    env: { ...env, SIGNALBOX_ROLE: 'gateway' },
    log,
  });
  await closing.push('the worker', worker);
  await closing.push('the gateway', gateway);
  await Promise.all([worker.start(), gateway.start()]);

  const url = `http://${urlHost(config.host)}:${port}`;
  await untilReady(url);
  await loadExamples({ folder: entries.examples, baseUrl: url, apiKey: apiKey.value, journal: join(dataDir, 'examples.json'), log });
  return {
    url,
    temporalUiUrl: servers.temporalUiUrl,
    apiKey: { ...apiKey, place: config.bootstrapKey === undefined ? bootstrapKeyFile(config.dataDir) : 'SIGNALBOX_BOOTSTRAP_KEY' },
    reload: async () => void (await Promise.all([worker.restart(), gateway.restart()])),
  };
}

/** One after the other, PostgreSQL first: what is opened first is closed last. */
async function startServers(config: Config, dataDir: string, closing: CloseStack, log: Log): Promise<Servers> {
  const databaseUrl = config.databaseUrl ?? (await ownPostgres(dataDir, closing, log));
  const { namespace, address } = config.temporal;
  if (address === undefined) return { databaseUrl, ...(await ownTemporal(config, dataDir, closing, log)) };
  await ensureSearchAttributes(address, namespace, log);
  return { databaseUrl, temporalAddress: address, temporalUiUrl: config.temporal.uiUrl };
}

async function ownPostgres(dataDir: string, closing: CloseStack, log: Log): Promise<string> {
  log('starting PostgreSQL (the first time it makes its files: a few seconds)');
  const ports = readPorts(dataDir);
  const server = await startPostgres({ dir: join(dataDir, 'postgres'), preferredPorts: [ports.postgres ?? 5433], log });
  await closing.push('PostgreSQL', server);
  writePorts(dataDir, { ...ports, postgres: server.port });
  return server.url;
}

async function ownTemporal(config: Config, dataDir: string, closing: CloseStack, log: Log): Promise<Omit<Servers, 'databaseUrl'>> {
  log('starting Temporal');
  const ports = readPorts(dataDir);
  const server = await startTemporal({
    dir: join(dataDir, 'temporal'),
    namespace: config.temporal.namespace,
    cliPath: config.temporal.cliPath,
    preferredPorts: [ports.temporal ?? 7233],
    preferredUiPorts: [ports.temporalUi ?? 8233],
    log,
  });
  await closing.push('Temporal', server);
  writePorts(dataDir, { ...ports, temporal: server.port, temporalUi: server.uiPort });
  return { temporalAddress: server.address, temporalUiUrl: server.uiPort === undefined ? undefined : `http://127.0.0.1:${server.uiPort}` };
}

/** A port that was asked for is taken or fails; the default one may be somebody else's on a machine that has never heard of us. */
async function gatewayPort({ port, isPortGiven, host }: Config, log: Log): Promise<number> {
  if (isPortGiven && port !== 0) return port;
  const chosen = await freePort(port === 0 ? [] : Array.from({ length: 20 }, (_, offset) => port + offset), host);
  if (port !== 0 && chosen !== port) log(`port ${port} is taken: the gateway uses ${chosen} (set PORT to choose)`);
  return chosen;
}

async function untilReady(url: string): Promise<void> {
  let last = 'no answer';
  for (const until = Date.now() + READY_MS; Date.now() < until; await sleep(100)) {
    try {
      const response = await fetch(`${url}/readyz`, { signal: AbortSignal.timeout(5_000) });
      if (response.ok) return;
      last = await response.text();
    } catch (error) {
      last = error instanceof Error ? error.message : String(error);
    }
  }
  throw new Error(`the gateway is not ready after ${READY_MS / 1000} s: ${last}`);
}

const urlHost = (host: string): string => {
  if (host === '0.0.0.0' || host === '::') return '127.0.0.1';
  return host.includes(':') ? `[${host}]` : host;
};
