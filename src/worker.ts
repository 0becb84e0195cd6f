/** The worker process: Temporal workers for the task queues of its role. Any number of them may run. */
import { setMaxListeners } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { DefaultLogger, type LogEntry, NativeConnection, Runtime, Worker, type WorkerOptions } from '@temporalio/worker';
import { createActivities, createModelClient, type Activities, type ActivityOperations } from './activities/index.js';
import type { SlackNotifier } from './activities/notify-activity.js';
import { ConfigError, loadServiceConfig, type Role, type ServiceConfig } from './config.js';
import { startDemoModel } from './embedded/demo-model/index.js';
import { createLogger, type Logger } from './logger.js';
import { createBackground } from './operations/background.js';
import { requestCancel } from './operations/cancel-execution.js';
import { DeliveryIds } from './operations/delivery-ids.js';
import type { OperationDeps } from './operations/deps.js';
import { readSignalledGate } from './operations/read-signalled-gate.js';
import { startReconciler } from './operations/reconciler.js';
import { afterSettled } from './operations/report-child.js';
import { startChild } from './operations/start-child.js';
import { createTemporalGateway } from './operations/temporal-gateway.js';
import { createDeltaSender } from './store/deltas.js';
import { startTick } from './operations/triggers/start-tick.js';
import { connectSlack, createSlackNotifier } from './realtime/slack/index.js';
import { openDatabase, type Database } from './store/database.js';
import { type Heartbeat, startHeartbeat } from './store/workers.js';
import {
  createHttpClient,
  LIGHT_TOOL_IDS,
  openShellHost,
  openTools,
  type ShellHost,
  startWorkspaceSweeper,
  type Toolbox,
} from './tools/index.js';
import { CONCURRENT_ACTIVITIES, WORKER_SETTINGS } from './worker-settings.js';
import { TASK_QUEUES } from './workflows/messages.js';

type Queue = keyof typeof TASK_QUEUES;
/** The log, and where its lines find their deliveries once there is a database. */
interface Logged {
  readonly log: Logger;
  readonly deliveries: DeliveryIds;
}
/** What is open, closed in reverse. */
type Opened = (() => Promise<unknown>)[];

const QUEUES: { readonly [R in Role]: readonly Queue[] } = {
  all: ['core', 'agent', 'shell'],
  worker: ['core', 'agent', 'shell'],
  'worker:agent': ['agent'],
  'worker:shell': ['shell'],
  gateway: [],
};
const CONNECT_RETRY_MS = 500;
/** Used when a key is given and SIGNALBOX_MODELS is not. */
const DEFAULT_MODEL = 'claude-sonnet-5-5';
const PROVIDER_URL = 'https://api.anthropic.com';
/** Concurrent steps need a connection for two short transactions each. */
const POOL_SIZE = 20;

async function main(): Promise<void> {
  // Local-time methods must not depend on where a worker runs (temporal-notes §1).
  process.env['TZ'] = 'UTC';
  const config = loadServiceConfig();
  const deliveries = new DeliveryIds();
  const log = createLogger(config.log, 'worker', (executionId) => deliveries.of(executionId));
  installRuntime(log, config.log.level);
  const opened: Opened = [];
  const { workers, stopping, db } = await openWorkers(config, { log, deliveries }, opened);
  const running = Promise.all(workers.map((worker) => worker.run()));
  const heartbeat = startHeartbeat(db, {
    queues: QUEUES[config.role].map((queue) => TASK_QUEUES[queue]),
    isDemoModel: config.model.isDemo,
    onMissed: (error) =>
      log.warn({ error: error instanceof Error ? error.message : String(error) }, 'the database has not heard that this worker is there'),
  });
  opened.push(() => heartbeat.stop());
  stopOnRequest({ workers, stopping, heartbeat }, log);
  process.send?.({ ready: true });
  log.info({ taskQueues: QUEUES[config.role].map((queue) => TASK_QUEUES[queue]) }, 'worker is ready');
  try {
    await running;
  } finally {
    for (const close of opened.toReversed()) await close().catch((error: unknown) => log.warn({ error }, 'a part did not close cleanly'));
  }
  process.exit(0);
}

/** The SDK's lines, those of its native part included, through our logger. Signals are ours: see stopOnRequest. */
function installRuntime(log: Logger, level: string): void {
  const levels = { TRACE: 'trace', DEBUG: 'debug', INFO: 'info', WARN: 'warn', ERROR: 'error' } as const;
  const write = ({ level: sdkLevel, message, meta }: LogEntry): void => {
    // Queues of agents and shells have activities alone, by design.
    if (message.startsWith('No workflows registered')) return;
    log[levels[sdkLevel]]({ ...meta }, message);
  };
  const sdkLevel = level === 'trace' || level === 'debug' ? 'DEBUG' : 'WARN';
  Runtime.install({ logger: new DefaultLogger(sdkLevel, write), shutdownSignals: [] });
}

async function openWorkers(
  config: ServiceConfig,
  logged: Logged,
  opened: Opened,
): Promise<{ workers: readonly Worker[]; stopping: AbortController; db: Database }> {
  const { log } = logged;
  const connection = await connect(config, log);
  opened.push(() => connection.close());
  const { activities, tools, stopping, db } = await openActivities(config, logged, opened);
  log.debug({ tools: tools.ids() }, 'tools are registered');
  const bundle = workflowBundle();
  const options = (queue: Queue): WorkerOptions => ({
    connection,
    namespace: config.temporal.namespace,
    taskQueue: TASK_QUEUES[queue],
    activities: { ...activities[queue] },
    ...WORKER_SETTINGS,
    maxConcurrentActivityTaskExecutions: queue === 'shell' ? config.shellConcurrency : CONCURRENT_ACTIVITIES[queue],
    ...(queue === 'core' ? { workflowBundle: bundle } : {}),
  });
  return { workers: await Promise.all(QUEUES[config.role].map((queue) => Worker.create(options(queue)))), stopping, db };
}

async function openActivities(
  config: ServiceConfig,
  { log, deliveries }: Logged,
  opened: Opened,
): Promise<{ activities: Activities; tools: Toolbox; stopping: AbortController; db: Database }> {
  const stopping = new AbortController();
  // Every segment at work listens; each stops to when it ends.
  setMaxListeners(0, stopping.signal);
  const db = openDatabase(config.databaseUrl, {
    poolSize: POOL_SIZE,
    onConnectionLost: (error) => log.warn({ error: error.message }, 'a database connection was lost'),
  });
  opened.push(() => db.close());
  deliveries.readFrom(db);
  const temporal = createTemporalGateway({ address: config.temporal.address, namespace: config.temporal.namespace });
  opened.push(() => temporal.close());
  const background = createBackground((what, error) =>
    log.error({ what, error }, 'work behind an answer failed; the reconciler repeats it'),
  );
  opened.push(() => background.drain());
  const http = createHttpClient({ allow: config.httpAllow });
  const shell = openShellHost(config, db, config.encryptionKey);
  // Tools of other servers run anywhere, so a worker of commands and files alone need not know them.
  const mcpServers = config.role === 'worker:shell' ? {} : config.mcpServers;
  const { toolbox: tools, agentTools } = openTools(
    { ...config, mcpServers },
    {
      db,
      http,
      shell,
      onServerAway: (server, reason) => log.warn({ server, reason }, 'an MCP server is away'),
    },
  );
  opened.push(() => tools.close());
  if (QUEUES[config.role].includes('shell')) sweepWorkspaces(shell.workspaces, log, opened);
  const deps: OperationDeps = {
    db,
    temporal,
    background,
    log,
    limits: config.limits,
    encryptionKey: config.encryptionKey,
    toolIds: () => tools.ids(),
    lightToolIds: LIGHT_TOOL_IDS,
    argumentFaults: (tool, args) => tools.get(tool)?.argumentFaults?.(args) ?? [],
  };
  // In workers as in gateways: what a killed gateway has promised does not wait for the next one.
  const reconciler = QUEUES[config.role].includes('core') ? startReconciler(deps) : undefined;
  opened.push(async () => reconciler?.stop());
  const { model, models } = await openModel(config, log, opened);
  const deltas = createDeltaSender(db.pool);
  opened.push(() => deltas.close());
  const operations = activityOperations({ ...deps, signalDecisions: config.signalDecisions });
  return {
    activities: createActivities({
      db,
      stopping: stopping.signal,
      encryptionKey: config.encryptionKey,
      tools,
      agentTools,
      deltas,
      http,
      ...slackOf(config, db),
      model,
      models,
      isDemoModel: config.model.isDemo,
      shell,
      operations,
    }),
    tools,
    stopping,
    db,
  };
}

function sweepWorkspaces(workspaces: ShellHost['workspaces'], log: Logger, opened: Opened): void {
  const sweeper = startWorkspaceSweeper(workspaces, {
    onRemoved: (count) => log.info({ count }, 'workspaces of ended runs were removed'),
    onFailed: (error) => log.warn({ error }, 'workspaces could not be looked through; the next sweep tries again'),
  });
  opened.push(() => sweeper.stop());
}

/** For notify steps; without a token they fail. */
function slackOf({ slack }: ServiceConfig, db: Database): { readonly slack?: SlackNotifier } {
  const client = connectSlack(slack);
  return client === undefined ? {} : { slack: createSlackNotifier(db, client) };
}

/** Without a key and a base URL the built-in demo model answers, labelled as such. */
async function openModel({ model: { apiKey, baseUrl, names } }: ServiceConfig, log: Logger, opened: Opened) {
  if (apiKey !== undefined || baseUrl !== undefined) {
    return {
      model: createModelClient({ apiKey: apiKey ?? 'none', baseUrl: baseUrl ?? PROVIDER_URL }),
      models: names.length > 0 ? names : [DEFAULT_MODEL],
    };
  }
  const demo = await startDemoModel();
  opened.push(() => demo.close());
  log.info('no model is configured (ANTHROPIC_API_KEY): the built-in demo model answers');
  return { model: createModelClient({ apiKey: 'demo', baseUrl: demo.url }), models: names.length > 0 ? names : ['demo'] };
}

function activityOperations(deps: OperationDeps & { readonly signalDecisions: boolean }): ActivityOperations {
  return {
    startChild: ({ ownerId: _owner, version, input, ...child }) =>
      startChild(deps, { ...child, input: { v: input }, ...(version === null ? {} : { version }) }),
    async cancelChild({ childId, ownerId, parentId, reason }) {
      await requestCancel(deps, childId, { ownerId, by: { id: parentId, name: 'Parent execution' }, reason });
    },
    readSignalledGate: (executionId, signal) => readSignalledGate(deps, executionId, signal),
    afterSettled: (settled) => afterSettled(deps, settled),
    startTick: (tick) => startTick(deps, tick),
  };
}

/** Temporal may be away when the process starts: it waits, as it does later. */
async function connect({ temporal: { address } }: ServiceConfig, log: Logger): Promise<NativeConnection> {
  for (let tried = 0; ; tried += 1) {
    try {
      return await NativeConnection.connect({ address });
    } catch (error) {
      if (tried % 20 === 0) log.warn({ address, error: error instanceof Error ? error.message : String(error) }, 'waiting for Temporal');
      await sleep(CONNECT_RETRY_MS);
    }
  }
}

/** The prebuilt bundle. It must come from the very same SDK. @throws when it is missing or of another version */
function workflowBundle(): { codePath: string } {
  const codePath = join(__dirname, 'workflow-bundle.js');
  const { sdkVersion } = JSON.parse(readFileSync(join(__dirname, 'workflow-bundle.meta.json'), 'utf8')) as { sdkVersion: string };
  const { version } = JSON.parse(readFileSync(require.resolve('@temporalio/workflow/package.json'), 'utf8')) as { version: string };
  if (sdkVersion !== version)
    throw new Error(`dist/workflow-bundle.js was built with @temporalio/workflow ${sdkVersion}, installed is ${version}: build again`);
  return { codePath };
}

/** Segments hear of it before the workers' time of grace begins to run: what they have in flight may end, and nothing more starts. */
function stopOnRequest(
  {
    workers,
    stopping,
    heartbeat,
  }: { readonly workers: readonly Worker[]; readonly stopping: AbortController; readonly heartbeat: Heartbeat },
  log: Logger,
): void {
  let isStopping = false;
  const stop = (why: string): void => {
    if (isStopping) return;
    isStopping = true;
    log.info({ why }, 'worker is stopping');
    stopping.abort();
    void heartbeat.stop();
    for (const worker of workers) if (worker.getState() === 'RUNNING') worker.shutdown();
  };
  process.on('SIGTERM', () => stop('SIGTERM'));
  process.on('SIGINT', () => stop('SIGINT'));
  process.on('disconnect', () => stop('the parent is gone'));
}

main().catch((error: unknown) => {
  console.error(error instanceof ConfigError ? error.message : error);
  process.exit(1);
});
