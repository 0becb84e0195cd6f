/** Everything a measurement runs on: durable embedded servers as `npm start` has them, our two processes, the floor's worker, one stub. */
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { startPostgres } from '../src/embedded/postgres.js';
import { startTemporal } from '../src/embedded/temporal.js';
import { freePort } from '../src/embedded/free-port.js';
import { ModelStub } from './model-stub.js';

const ROOT = join(__dirname, '..');
const KEY = 'sbx_bench_0123456789abcdefghij';
/** What clicks are signed with, as Slack does. */
export const SLACK_SECRET = 'bench-slack-secret';

export interface StubCall {
  readonly at: number;
  readonly path: string;
  /** 0 until it is answered. */
  done: number;
}

/** Answers 200 at once, or after the milliseconds in `?ms=`, and notes when each call came and went, in ms of `performance.now()`. */
export class Stub {
  readonly arrivals = new Map<string, StubCall[]>();
  private readonly waiters = new Set<() => void>();
  private constructor(
    private readonly server: Server,
    readonly host: string,
  ) {}

  static async start(): Promise<Stub> {
    const server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const stub = new Stub(server, `127.0.0.1:${(server.address() as AddressInfo).port}`);
    server.on('request', (request, response) => {
      const { pathname, searchParams } = new URL(request.url ?? '', 'http://stub');
      const entry: StubCall = { at: performance.now(), path: pathname, done: 0 };
      const key = pathname.split('/')[1] ?? '';
      const calls = stub.arrivals.get(key);
      if (calls === undefined) stub.arrivals.set(key, [entry]);
      else calls.push(entry);
      request.resume();
      response.setHeader('content-type', 'application/json');
      const answer = (): void =>
        void response.end('{"ok":true}', () => {
          entry.done = performance.now();
          for (const waiter of stub.waiters) waiter();
        });
      const delayMs = Number(searchParams.get('ms') ?? 0);
      if (delayMs > 0) setTimeout(answer, delayMs);
      else answer();
    });
    return stub;
  }

  /** URLs of one run: `/run/1`, `/run/2`, … */
  urls(run: string, count: number): string[] {
    return Array.from({ length: count }, (_, index) => `http://${this.host}/${run}/${index}`);
  }

  async calls(run: string, count: number): Promise<readonly StubCall[]> {
    for (;;) {
      const calls = this.arrivals.get(run) ?? [];
      if (calls.length >= count && calls.every(({ done }) => done > 0)) return calls;
      await new Promise<void>((resolve) => {
        const waiter = (): void => {
          this.waiters.delete(waiter);
          resolve();
        };
        this.waiters.add(waiter);
      });
    }
  }

  async close(): Promise<void> {
    this.server.closeAllConnections();
    this.server.close();
    await once(this.server, 'close');
  }
}

export interface Stage {
  readonly stub: Stub;
  /** What agents talk to. */
  readonly model: ModelStub;
  readonly databaseUrl: string;
  readonly gateway: { readonly url: string; readonly key: string };
  readonly temporal: Client;
  readonly api: Api;
  readonly workers: Workers;
  /** Where the floor's runs are started over HTTP. */
  readonly floorGatewayUrl: string;
  close(): Promise<void>;
  /** Whether it was told to end by a signal. */
  isEnding(): boolean;
}

export class Api {
  constructor(private readonly base: string) {}

  async call<T>(method: string, path: string, body?: unknown): Promise<T> {
    const response = await fetch(this.base + path, {
      method,
      headers: { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    return JSON.parse(text) as T;
  }
}

/** Our worker processes. All but the first are started by sections that kill them. */
export class Workers {
  private constructor(
    private readonly begin: () => Promise<ChildProcess>,
    /** The one that is up, when one is. */
    public current: ChildProcess,
  ) {}

  static async start(begin: () => Promise<ChildProcess>): Promise<Workers> {
    return new Workers(begin, await begin());
  }

  /** Starts one more, which is the current one from now on. @returns the one before */
  async add(): Promise<ChildProcess> {
    const before = this.current;
    this.current = await this.begin();
    return before;
  }

  /** Lets the current one leave in its own time, and starts another. A profile of the first is written then. */
  async renew(): Promise<void> {
    await end(this.current);
    await this.add();
  }
}

/** What is open, closed in reverse. */
type Opened = (() => Promise<void>)[];

async function endAll(opened: Opened): Promise<void> {
  for (const end of opened.splice(0).toReversed()) await end();
}

/** @param profileDir writes a CPU profile of our worker and gateway there when they stop */
export async function openStage(log: (line: string) => void, profileDir?: string): Promise<Stage> {
  const opened: Opened = [];
  let closing: Promise<void> | undefined;
  const close = (): Promise<void> => (closing ??= endAll(opened));
  const opening = open(opened, log, profileDir);
  let isEnding = false;
  // What it started must not outlive it; what is being started can be ended once it is up.
  const stop = (): void => {
    isEnding = true;
    // What is cut off by it fails.
    for (const fault of ['uncaughtException', 'unhandledRejection'] as const) process.on(fault, () => {});
    void opening
      .then(close, close)
      .catch(() => {})
      .finally(() => process.exit(1));
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, stop);
  try {
    return { ...(await opening), close, isEnding: () => isEnding };
  } catch (error) {
    await close();
    throw error;
  }
}

async function open(
  opened: Opened,
  log: (line: string) => void,
  profileDir: string | undefined,
): Promise<Omit<Stage, 'close' | 'isEnding'>> {
  const folder = mkdtempSync(join(tmpdir(), 'sbx-bench-'));
  opened.push(async () => rmSync(folder, { recursive: true, force: true }));
  const stub = await Stub.start();
  opened.push(() => stub.close());
  const model = await ModelStub.start();
  opened.push(() => model.close());
  const postgres = await startPostgres({ dir: join(folder, 'postgres'), log });
  opened.push(() => postgres.stop());
  const temporal = await startTemporal({ dir: join(folder, 'temporal'), cliCacheDir: join(ROOT, '.cache/temporal-cli'), ui: false, log });
  opened.push(() => temporal.stop());
  const port = await freePort();
  const env = {
    ...process.env,
    TZ: 'UTC',
    PORT: String(port),
    DATABASE_URL: postgres.url,
    TEMPORAL_ADDRESS: temporal.address,
    SIGNALBOX_DATA_DIR: join(folder, 'data'),
    SIGNALBOX_BOOTSTRAP_KEY: KEY,
    SIGNALBOX_ENCRYPTION_KEY: Buffer.alloc(32, 7).toString('base64'),
    SIGNALBOX_HTTP_ALLOW: stub.host,
    SLACK_SIGNING_SECRET: SLACK_SECRET,
    SLACK_BOT_TOKEN: 'xoxb-bench',
    SLACK_API_URL: `http://${stub.host}/slack/`,
    ANTHROPIC_BASE_URL: model.url,
    SIGNALBOX_MODELS: 'bench',
    SIGNALBOX_MAX_ACTIVE: '0',
    SIGNALBOX_MAX_ACTIVE_PER_USER: '0',
    SIGNALBOX_RATE_LIMIT: '0',
    LOG_LEVEL: 'warn',
    NODE_ENV: 'production',
  };
  const profile = profileDir === undefined ? [] : ['--cpu-prof', '--cpu-prof-dir', profileDir];
  await begin(opened, 'dist/server.js', env, [], profile);
  const workers = await Workers.start(() => begin(opened, 'dist/worker.js', env, [], profile));
  const source = ['-r', join(ROOT, 'scripts/register.cjs')];
  await begin(opened, 'bench/floor/worker.ts', env, [temporal.address, stub.host], source);
  const floorPort = await freePort();
  await begin(opened, 'bench/floor/gateway.ts', env, [temporal.address, String(floorPort)], source);
  const connection = await Connection.connect({ address: temporal.address });
  opened.push(() => connection.close());
  const url = `http://127.0.0.1:${port}`;
  return {
    stub,
    model,
    databaseUrl: postgres.url,
    gateway: { url, key: KEY },
    temporal: new Client({ connection }),
    api: new Api(url),
    workers,
    floorGatewayUrl: `http://127.0.0.1:${floorPort}`,
  };
}

/** Starts a process and waits until it says that it is ready. */
async function begin(opened: Opened, file: string, env: NodeJS.ProcessEnv, args: string[], execArgv: string[] = []): Promise<ChildProcess> {
  const child = fork(join(ROOT, file), args, { cwd: ROOT, env, execArgv, stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  opened.push(() => end(child));
  const ended = once(child, 'exit').then(() => {
    throw new Error(`${file} ended at start`);
  });
  await Promise.race([once(child, 'message'), ended]);
  ended.catch(() => {});
  return child;
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.kill('SIGTERM');
  const force = setTimeout(() => child.kill('SIGKILL'), 15_000);
  await gone;
  clearTimeout(force);
}
