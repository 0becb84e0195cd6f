/** The embedded Temporal server: the CLI's development server on a durable SQLite file, restarted on the same ports when it dies. */
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Connection } from '@temporalio/client';
import { accepts, freePort } from './free-port.js';
import { logSize, logTail, withLogFile } from './log-file.js';
import { commandLineOf, endProcess, isAlive, type StopStep } from './running-process.js';
import { SupervisedProcess } from './supervised-process.js';
import { findTemporalCli } from './temporal-cli.js';

export interface EmbeddedTemporalOptions {
  /** The folder for its database and log; created. */
  readonly dir: string;
  readonly namespace?: string;
  /** Tried first; another is chosen when none is free. */
  readonly preferredPorts?: readonly number[];
  readonly preferredUiPorts?: readonly number[];
  readonly ui?: boolean;
  /** TEMPORAL_CLI_PATH. */
  readonly cliPath?: string | undefined;
  readonly cliCacheDir?: string;
  /** Added to the values that every embedded server gets. */
  readonly dynamicConfig?: Readonly<Record<string, string | number | boolean>>;
  readonly log?: (line: string) => void;
}

export interface EmbeddedTemporal {
  /** host:port */
  readonly address: string;
  readonly port: number;
  readonly uiPort: number | undefined;
  readonly pid: () => number | undefined;
  stop(): Promise<void>;
  kill(): void;
  /** Lets it end without being restarted; stop() must follow. */
  hold(): void;
}

/** Names of our search attributes, all Keyword; workflows/messages.ts says what they hold. */
export const SEARCH_ATTRIBUTE_NAMES = ['SignalboxWorkflow', 'SignalboxOwner', 'SignalboxStatus', 'SignalboxTrigger'] as const;

/**
 * As shipped the development server loads a queue at most 20 times a second, which costs 50 ms a step, and fires timers up
 * to a second late.
 */
const DYNAMIC_CONFIG: Readonly<Record<string, string | number | boolean>> = {
  'history.transferProcessorMaxPollRPS': 5000,
  'history.timerProcessorMaxPollRPS': 5000,
  'history.visibilityProcessorMaxPollRPS': 5000,
  'history.timerProcessorMaxTimeShift': '1ms',
  'matching.numTaskqueueReadPartitions': 1,
  'matching.numTaskqueueWritePartitions': 1,
  'frontend.namespaceRPS': 20_000,
  'frontend.namespaceCount': 10_000,
};
const STOP: readonly StopStep[] = [
  { signal: 'SIGTERM', waitMs: 10_000 },
  { signal: 'SIGKILL', waitMs: 5_000 },
];
const ATTEMPTS = 4;
const DEFAULT_CACHE = join(__dirname, '..', '..', '.cache', 'temporal-cli');

/**
 * Starts it; first ends one that a killed run left on the same file, since a file serves one server.
 * @throws when there is no CLI, or it does not serve, with the end of its log
 */
export async function startTemporal(options: EmbeddedTemporalOptions): Promise<EmbeddedTemporal> {
  const { log = () => {}, namespace = 'default', ui = true } = options;
  const dir = resolve(options.dir);
  mkdirSync(dir, { recursive: true });
  const cli = await findTemporalCli({ path: options.cliPath, cacheDir: options.cliCacheDir ?? DEFAULT_CACHE, log });
  await endLeftover(dir, log);
  for (let attempt = 1; ; attempt += 1) {
    const ports = await choosePorts(options, attempt, ui);
    const from = logSize(logFile(dir));
    const supervised = new SupervisedProcess({
      name: 'Temporal',
      launch: () => launch(cli, dir, serverArguments(dir, namespace, ports, options.dynamicConfig ?? {}), ports, namespace),
      stopSteps: STOP,
      log,
    });
    try {
      await supervised.start();
    } catch (error) {
      const tail = logTail(logFile(dir), from);
      if (attempt < ATTEMPTS && /address already in use|can't set frontend port|can't set UI port/i.test(tail)) continue;
      throw new Error(`Temporal did not start:\n${tail}`, { cause: error });
    }
    return {
      address: `127.0.0.1:${ports.port}`,
      port: ports.port,
      uiPort: ports.uiPort,
      pid: () => supervised.pid,
      stop: async () => {
        await supervised.stop();
        rmSync(pidFile(dir), { force: true });
      },
      kill: () => supervised.kill(),
      hold: () => supervised.hold(),
    };
  }
}

interface Ports {
  readonly port: number;
  readonly uiPort: number | undefined;
  readonly httpPort: number;
  readonly metricsPort: number;
}

/** Also the ports it would otherwise choose itself: it probes and lets go of them, and two servers then meet on one. */
async function choosePorts(options: EmbeddedTemporalOptions, attempt: number, ui: boolean): Promise<Ports> {
  const wish = (ports: readonly number[] = []): readonly number[] => (attempt > 1 ? [] : ports);
  const port = await freePort(wish(options.preferredPorts));
  const uiPort = ui ? await freePort(wish(options.preferredUiPorts)) : undefined;
  return { port, uiPort, httpPort: await freePort(), metricsPort: await freePort() };
}

function serverArguments(dir: string, namespace: string, ports: Ports, extra: EmbeddedTemporalOptions['dynamicConfig'] & object): string[] {
  const args = ['server', 'start-dev', '--ip', '127.0.0.1', '--port', String(ports.port), '--http-port', String(ports.httpPort)];
  args.push('--metrics-port', String(ports.metricsPort), '--namespace', namespace, '--log-level', 'error');
  args.push('--db-filename', databaseFile(dir), '--sqlite-pragma', 'journal_mode=WAL', '--sqlite-pragma', 'synchronous=NORMAL');
  args.push(...(ports.uiPort === undefined ? ['--headless'] : ['--ui-port', String(ports.uiPort)]));
  for (const name of SEARCH_ATTRIBUTE_NAMES) args.push('--search-attribute', `${name}=Keyword`);
  for (const [key, value] of Object.entries({ ...DYNAMIC_CONFIG, ...extra }))
    args.push('--dynamic-config-value', `${key}=${JSON.stringify(value)}`);
  return args;
}

async function launch(cli: string, dir: string, args: string[], { port }: Ports, namespace: string): ReturnType<SupervisedLaunch> {
  const child = withLogFile(logFile(dir), (fd) => spawn(cli, args, { cwd: dir, stdio: ['ignore', fd, fd], detached: true }));
  if (child.pid !== undefined) writeFileSync(pidFile(dir), String(child.pid));
  return { child, ready: serves(port, namespace, () => child.exitCode === null && child.signalCode === null) };
}
type SupervisedLaunch = () => Promise<{ child: ReturnType<typeof spawn>; ready: Promise<void> }>;

/** Waits for the port first: a refused gRPC connection backs off for a whole second. */
async function serves(port: number, namespace: string, isRunning: () => boolean): Promise<void> {
  while (isRunning() && !(await accepts(port))) await sleep(30);
  while (isRunning()) {
    const connection = await Connection.connect({ address: `127.0.0.1:${port}`, connectTimeout: '2s' }).catch(() => undefined);
    if (connection === undefined) continue;
    try {
      await connection.workflowService.describeNamespace({ namespace });
      return;
    } catch {
      await sleep(50);
    } finally {
      await connection.close();
    }
  }
}

/** A killed run leaves the server running; it is ours if its command line names our database file. */
async function endLeftover(dir: string, log: (line: string) => void): Promise<void> {
  if (!existsSync(pidFile(dir))) return;
  const pid = Number(readFileSync(pidFile(dir), 'utf8'));
  if (Number.isInteger(pid) && pid > 0 && isAlive(pid) && commandLineOf(pid).includes(databaseFile(dir))) {
    log(`stopping the Temporal server that a killed run left behind (pid ${pid})`);
    if (!(await endProcess(pid, STOP))) throw new Error(`the Temporal server of ${dir} (pid ${pid}) does not stop`);
  }
  rmSync(pidFile(dir), { force: true });
}

const databaseFile = (dir: string): string => join(dir, 'temporal.db');
const logFile = (dir: string): string => join(dir, 'temporal.log');
const pidFile = (dir: string): string => join(dir, 'temporal.pid');
