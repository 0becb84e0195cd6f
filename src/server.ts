/** The gateway process: the HTTP API, event streams and the reconciler. Any number of them may run. */
import { setTimeout as sleep } from 'node:timers/promises';
import { createMessagePoster } from './activities/session-messages.js';
import { createApp } from './api/app.js';
import { callerOf, forget } from './api/authenticate.js';
import type { ApiDependencies } from './api/dependencies.js';
import { createReadiness } from './api/health/readiness.js';
import { createTemporalProbes } from './api/health/temporal-probe.js';
import { listen, ListenError } from './api/http-server.js';
import { createKeyRings } from './api/key-ring.js';
import { createApiMetrics } from './api/metrics.js';
import { RateLimiter } from './api/rate-limiter.js';
import { VERSION } from './api/version.js';
import { ConfigError, loadServiceConfig, type ServiceConfig } from './config.js';
import { createLogger, type Logger } from './logger.js';
import { createBackground } from './operations/background.js';
import { bootstrap } from './operations/bootstrap.js';
import { DeliveryIds } from './operations/delivery-ids.js';
import type { OperationDeps } from './operations/deps.js';
import { startReconciler } from './operations/reconciler.js';
import { createTemporalGateway } from './operations/temporal-gateway.js';
import { Gateway as SocketGateway } from './realtime/gateway.js';
import { GateCourier } from './realtime/notices/gate-courier.js';
import { Realtime } from './realtime/realtime.js';
import { connectSlack } from './realtime/slack/index.js';
import { openDatabase, type Database } from './store/database.js';
import { isAway } from './store/database-error.js';
import { applyMigrations } from './store/migrate.js';
import { isWorkerSeen } from './store/workers.js';
import { createDirectTools, createHttpClient, type HttpClient, LIGHT_TOOL_IDS, openTools, type OpenTools } from './tools/index.js';
import { TASK_QUEUES } from './workflows/messages.js';

/** For requests under way when the process is told to stop. */
const REQUESTS_GRACE_MS = 8_000;
/** For everything; whoever supervises us kills after 25 s. */
const STOP_WITHIN_MS = 20_000;
const DATABASE_RETRY_MS = 500;
/** For a private word or a form in Slack: a stop waits for it. */
const SLACK_WORD_MS = 12_000;

/** What a stop closes, newest first. */
type Opened = (() => Promise<unknown>)[];

/** The log, and where its lines find their deliveries once there is a database. */
interface Logged {
  readonly log: Logger;
  readonly deliveries: DeliveryIds;
}

interface Gateway {
  readonly url: string;
  /** Ends streams, lets requests and what follows them finish, closes every connection. */
  close(): Promise<void>;
}

/** Opens everything in order; what was opened before a failure is closed again. */
async function startGateway(config: ServiceConfig, { log, deliveries }: Logged): Promise<Gateway> {
  const opened: Opened = [];
  const close = async (): Promise<void> => {
    for (const end of opened.splice(0).toReversed())
      await end().catch((error: unknown) => log.warn({ error }, 'a part did not close cleanly'));
  };
  try {
    const http = createHttpClient({ allow: config.httpAllow });
    opened.push(() => http.close());
    const { operations, tools } = await openOperations(config, http, log, opened);
    deliveries.readFrom(operations.db);
    const courier = openCourier(config, operations, http, log, opened);
    const rings = createKeyRings(operations.db);
    const realtime = await openEvents(config, { operations, courier, onRights: () => forget(rings) }, log, opened);
    const url = await openHttp(config, { operations, tools, realtime, rings }, log, opened);
    return { url, close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function openOperations(
  config: ServiceConfig,
  http: HttpClient,
  log: Logger,
  opened: Opened,
): Promise<{ readonly operations: OperationDeps; readonly tools: OpenTools }> {
  await untilDatabase(log, () =>
    applyMigrations(config.databaseUrl, { onApply: (name) => log.info({ migration: name }, 'applying a migration') }),
  );
  const db = openDatabase(config.databaseUrl, {
    onConnectionLost: (error) => log.warn({ error: error.message }, 'a database connection was lost'),
  });
  opened.push(() => db.close());
  const { secret, isGiven } = await untilDatabase(log, () => bootstrap(db, config.bootstrapKey));
  // Shown this once: it is kept nowhere else.
  if (secret !== undefined && !isGiven) console.log(`\n  First API key: ${secret}\n`);
  const { address, namespace } = config.temporal;
  const temporal = createTemporalGateway({ address, namespace });
  opened.push(() => temporal.close());
  const background = createBackground((what, error) =>
    log.error({ what, error }, 'work behind an answer failed; the reconciler repeats it'),
  );
  opened.push(() => background.drain());
  const onServerAway = (server: string, reason: string): void => log.warn({ server, reason }, 'an MCP server is away');
  const tools = openTools(config, { db, http, shell: undefined, onServerAway });
  opened.push(() => tools.toolbox.close());
  const operations: OperationDeps = {
    db,
    temporal,
    background,
    log,
    limits: config.limits,
    encryptionKey: config.encryptionKey,
    toolIds: () => tools.toolbox.checkedIds(),
    lightToolIds: LIGHT_TOOL_IDS,
    argumentFaults: (tool, args) => tools.toolbox.get(tool)?.argumentFaults?.(args) ?? [],
  };
  const reconciler = startReconciler(operations);
  opened.push(() => reconciler.stop());
  return { operations, tools };
}

/** What gates have to say, in Slack, to webhooks, in sessions. */
function openCourier(config: ServiceConfig, { db }: OperationDeps, http: HttpClient, log: Logger, opened: Opened): GateCourier {
  const courier = new GateCourier({ db, http, messages: createMessagePoster(db), slack: connectSlack(config.slack), log });
  opened.push(() => courier.stop());
  return courier;
}

/** Without a signing secret nothing from Slack is believed; without a token nothing is said there. */
function slackDoorOf(config: ServiceConfig, log: Logger): NonNullable<ApiDependencies['slack']> {
  const { signingSecret, botToken } = config.slack;
  if (botToken !== undefined && signingSecret === undefined) log.warn('SLACK_SIGNING_SECRET is not set: every click in Slack is refused');
  const client = connectSlack(config.slack, SLACK_WORD_MS);
  return { ...(signingSecret === undefined ? {} : { signingSecret }), ...(client === undefined ? {} : { client }) };
}

async function openEvents(
  config: ServiceConfig,
  { operations, courier, onRights }: { readonly operations: OperationDeps; readonly courier: GateCourier; readonly onRights: () => void },
  log: Logger,
  opened: Opened,
): Promise<Realtime> {
  const realtime = new Realtime({ connectionString: config.databaseUrl, operations, log, onWake: () => courier.wake(), onRights });
  opened.push(() => realtime.close());
  await realtime.start();
  return realtime;
}

interface Parts {
  readonly operations: OperationDeps;
  readonly tools: OpenTools;
  readonly realtime: Realtime;
  readonly rings: ReturnType<typeof createKeyRings>;
}

async function openHttp(
  config: ServiceConfig,
  { operations, tools, realtime, rings }: Parts,
  log: Logger,
  opened: Opened,
): Promise<string> {
  const { address, namespace, uiUrl } = config.temporal;
  const probes = createTemporalProbes(address, namespace);
  opened.push(() => probes.close());
  const metrics = createApiMetrics();
  const gatekeepers = {
    ...rings,
    rateLimiter: new RateLimiter(config.rateLimits.perKey),
    onRateLimited: () => metrics.rateLimited.inc(),
  };
  const app = createApp({
    operations,
    events: realtime.hub,
    feeds: realtime.feeds,
    rights: realtime.rights,
    tools: createDirectTools({ operations, ...tools }),
    slack: slackDoorOf(config, log),
    webhooks: { limiter: new RateLimiter(config.rateLimits.perTrigger), githubSecret: config.githubWebhookSecret },
    metrics,
    log,
    isDemoModel: config.model.isDemo,
    version: VERSION,
    checkReplies: false,
    gatekeepers,
    readiness: createReadiness(
      { postgres: () => operations.db.pool.query('SELECT 1'), temporal: probes.temporal, worker: () => askWorker(operations.db) },
      { address, namespace, ...(uiUrl === undefined ? {} : { uiUrl }) },
    ),
  });
  const sockets = new SocketGateway({
    operations,
    feeds: realtime.feeds,
    lists: realtime.lists,
    rights: realtime.rights,
    callerOf: (headers) => callerOf(headers, rings),
    takeCall: (keyId) => gatekeepers.rateLimiter.take(keyId),
    metrics,
    version: VERSION,
    log,
  });
  const { host, port } = config;
  const server = await listen(app, { host, port, onUpgrade: (req, socket, head) => sockets.handleUpgrade(req, socket, head) });
  opened.push(async () => {
    const closed = server.close(REQUESTS_GRACE_MS);
    // Streams have no end of their own: their readers come back to another gateway, behind what they have seen.
    realtime.hub.close();
    await Promise.all([closed, sockets.close()]);
  });
  return server.url;
}

/** @throws when no worker of runs has said lately that it is there */
async function askWorker(db: Database): Promise<void> {
  if (!(await isWorkerSeen(db, TASK_QUEUES.core))) throw new Error(`no worker of ${TASK_QUEUES.core} has been seen`);
}

/** A gateway may start before its database does. */
async function untilDatabase<T>(log: Logger, work: () => Promise<T>): Promise<T> {
  for (let tries = 0; ; tries++) {
    try {
      return await work();
    } catch (error) {
      if (!isAway(error) && !isAway((error as { readonly cause?: unknown }).cause)) throw error;
      if (tries % 20 === 0) log.warn({ error: error instanceof Error ? error.message : String(error) }, 'waiting for the database');
      await sleep(DATABASE_RETRY_MS);
    }
  }
}

async function main(): Promise<void> {
  const config = loadServiceConfig();
  const deliveries = new DeliveryIds();
  const log = createLogger(config.log, 'gateway', (executionId) => deliveries.of(executionId));
  let gateway: Gateway | undefined;
  let isStopping = false;
  const stop = async (why: string, exitCode: number): Promise<void> => {
    if (isStopping) return;
    isStopping = true;
    log.info({ why }, 'the gateway stops');
    setTimeout(() => process.exit(1), STOP_WITHIN_MS).unref();
    await gateway?.close();
    process.exit(exitCode);
  };
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => void stop(signal, 0));
  // Whoever supervises us is gone: nobody else would end us.
  process.on('disconnect', () => void stop('the parent is gone', 0));
  process.on('unhandledRejection', (error) => log.error({ error }, 'a promise was rejected unheard'));
  process.on('uncaughtException', (error) => {
    log.fatal({ error }, 'an error reached nobody');
    void stop('a fault', 1);
  });
  // A log that nobody reads any more is no reason to end.
  process.stdout.on('error', () => undefined);
  process.stderr.on('error', () => undefined);
  gateway = await startGateway(config, { log, deliveries });
  log.info({ url: gateway.url }, 'the gateway listens');
  process.send?.({ ready: true, url: gateway.url });
}

main().catch((error: unknown) => {
  console.error(error instanceof ConfigError || error instanceof ListenError ? error.message : error);
  process.exit(1);
});
