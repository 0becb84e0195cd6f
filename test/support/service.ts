/**
 * A real service for a test file: gateway and worker as processes of their own, a database and a Temporal namespace that no other file
 * shares, an HTTP client with the admin's key. Processes can be killed, frozen and started again.
 */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client, Connection } from '@temporalio/client';
import { freePort } from '../../src/embedded/free-port.js';
import { builtEntry, checkoutRoot } from './service-build.js';
import { isConnectionFault, ServiceClient } from './service-client.js';
import { ServiceProcess } from './service-process.js';
import { ownServers, sharedServers, type Servers } from './service-servers.js';
import type { Approval, DefinitionJson, Execution, LoggedEvent, Status, Step, StepJson, Workflow } from './service-shapes.js';

export interface ServiceOptions {
  /** Environment of both processes, over the defaults below. */
  readonly env?: { readonly [name: string]: string };
  /** True: PostgreSQL and Temporal of its own, which the test may kill. */
  readonly ownServers?: boolean;
  /** Of an own Temporal server. */
  readonly dynamicConfig?: { readonly [key: string]: string | number };
  /** False: the test starts the worker itself. */
  readonly worker?: boolean;
}

export interface RunOptions {
  readonly headers?: { readonly [name: string]: string };
  readonly body?: { readonly [field: string]: unknown };
  readonly client?: ServiceClient;
}

const READY_WITHIN_MS = 30_000;
const ENDED_WITHIN_MS = 25_000;
const TERMINAL: readonly Status[] = ['completed', 'failed', 'cancelled'];

export class Service {
  private temporal: Client | undefined;
  private readonly extra: ServiceProcess[] = [];

  private constructor(
    readonly api: ServiceClient,
    readonly gateway: ServiceProcess,
    readonly worker: ServiceProcess,
    readonly servers: Servers,
    private readonly folder: string,
  ) {}

  static async start(options: ServiceOptions = {}): Promise<Service> {
    const servers = options.ownServers === true ? await ownServers(options.dynamicConfig ?? {}) : await sharedServers();
    const folder = mkdtempSync(join(tmpdir(), 'sbx-service-'));
    const port = await freePort();
    const key = `sbx_${randomBytes(24).toString('hex')}`;
    const env: NodeJS.ProcessEnv = {
      PATH: process.env['PATH'],
      HOME: folder,
      TZ: 'UTC',
      NODE_ENV: 'test',
      LOG_LEVEL: 'info',
      LOG_FORMAT: 'json',
      PORT: String(port),
      HOST: '127.0.0.1',
      SIGNALBOX_DATA_DIR: folder,
      DATABASE_URL: servers.databaseUrl,
      TEMPORAL_ADDRESS: servers.temporalAddress,
      TEMPORAL_NAMESPACE: servers.namespace,
      SIGNALBOX_BOOTSTRAP_KEY: key,
      SIGNALBOX_ENCRYPTION_KEY: randomBytes(32).toString('base64'),
      SIGNALBOX_HTTP_ALLOW: '127.0.0.1',
      SIGNALBOX_MAX_ACTIVE_PER_USER: '0',
      SIGNALBOX_MAX_ACTIVE: '0',
      SIGNALBOX_RATE_LIMIT: '0',
      ...options.env,
    };
    const plan = (role: 'gateway' | 'worker') => ({
      name: role,
      args: ['--enable-source-maps', builtEntry()],
      cwd: checkoutRoot(),
      env: { ...env, SIGNALBOX_ROLE: role },
      logFile: join(folder, `${role}.log`),
    });
    const service = new Service(
      new ServiceClient(`http://127.0.0.1:${port}`, key),
      new ServiceProcess(plan('gateway')),
      new ServiceProcess(plan('worker')),
      servers,
      folder,
    );
    try {
      service.gateway.start();
      await service.untilServing();
      if (options.worker !== false) await service.startWorker();
    } catch (error) {
      await service.close();
      throw error;
    }
    return service;
  }

  // ---- processes ----

  /** Starts the worker (again) and waits until it takes tasks. /readyz would not do: it remembers a dead one for some seconds. */
  async startWorker(): Promise<void> {
    this.worker.start();
    await this.worker.untilReady();
  }

  /** One more worker beside the first; the caller ends it. */
  async secondWorker(): Promise<ServiceProcess> {
    const second = new ServiceProcess({ ...this.worker.plan, logFile: join(this.folder, 'second-worker.log') });
    this.extra.push(second);
    second.start();
    return second;
  }

  async startGateway(): Promise<void> {
    this.gateway.start();
    await this.untilServing();
  }

  /** Ends everything in reverse order. Safe in afterAll also when the start failed. */
  async close(): Promise<void> {
    await this.temporal?.connection.close();
    this.worker.thaw();
    this.gateway.thaw();
    await Promise.all([this.worker, this.gateway, ...this.extra].map((process) => process.kill('SIGTERM')));
    await this.servers.stop();
    if (process.env['SIGNALBOX_TEST_KEEP'] === undefined) rmSync(this.folder, { recursive: true, force: true });
    else console.log(`logs of the service: ${this.folder}`);
  }

  private untilServing(): Promise<true> {
    return this.until('the gateway', async () => ((await this.api.get('/healthz')).status === 200 ? true : undefined));
  }

  // ---- definitions and runs ----

  async save(definition: DefinitionJson, options: { readonly slug?: string; readonly client?: ServiceClient } = {}): Promise<Workflow> {
    const { client = this.api, slug } = options;
    const answer = await client.post<{ workflow: Workflow; problems?: unknown }>('/api/workflows/sync', {
      name: definition.name,
      ...(slug === undefined ? {} : { slug }),
      ...(typeof definition['version'] === 'string' ? { version: definition['version'] } : {}),
      data: definition,
    });
    if (answer.status !== 200) throw new Error(`saving ${definition.name} answered ${answer.status}: ${answer.text}`);
    return answer.body.workflow;
  }

  /** Saves the definition (a list of steps gets a name of its own) and starts it. */
  async run(
    definition: DefinitionJson | readonly StepJson[],
    variables: { readonly [name: string]: unknown } = {},
    options: RunOptions = {},
  ): Promise<Execution> {
    const whole = isSteps(definition) ? { name: freshName(), steps: definition } : definition;
    const workflow = await this.save(whole, options.client === undefined ? {} : { client: options.client });
    return await this.runSaved(workflow.id, variables, options);
  }

  async runSaved(workflowId: string, variables: { readonly [name: string]: unknown } = {}, options: RunOptions = {}): Promise<Execution> {
    const answer = await (options.client ?? this.api).post<{ execution: Execution }>(
      `/api/workflows/${workflowId}/run`,
      { variables, ...options.body },
      options.headers === undefined ? {} : { headers: options.headers },
    );
    if (answer.status !== 202 && answer.status !== 200) throw new Error(`starting ${workflowId} answered ${answer.status}: ${answer.text}`);
    return answer.body.execution;
  }

  async runToEnd(
    definition: DefinitionJson | readonly StepJson[],
    variables: { readonly [name: string]: unknown } = {},
  ): Promise<Execution> {
    return await this.untilEnded((await this.run(definition, variables)).id);
  }

  // ---- what happened ----

  async execution(id: string, client = this.api): Promise<Execution> {
    const answer = await client.get<{ execution: Execution }>(`/api/executions/${encodeURIComponent(id)}`);
    if (answer.status !== 200) throw new Error(`${id} answered ${answer.status}: ${answer.text}`);
    return answer.body.execution;
  }

  async steps(id: string): Promise<readonly Step[]> {
    return (await this.api.get<{ items: Step[] }>(`/api/executions/${encodeURIComponent(id)}/steps`)).body.items;
  }

  async step(id: string, stepId: string, iterationPath = ''): Promise<Step> {
    const found = (await this.steps(id)).filter((step) => step.stepId === stepId && step.iterationPath === iterationPath).at(-1);
    if (found === undefined) throw new Error(`${id} has no row of step ${stepId} at '${iterationPath}'`);
    return found;
  }

  /** The whole log, oldest first. */
  async events(id: string): Promise<LoggedEvent[]> {
    const events: LoggedEvent[] = [];
    for (;;) {
      const after = events.at(-1)?.seq ?? 0;
      const { body } = await this.api.get<{ items: LoggedEvent[]; hasMore: boolean }>(
        `/api/executions/${encodeURIComponent(id)}/events?after=${after}&limit=200`,
      );
      events.push(...body.items);
      if (!body.hasMore) return events;
    }
  }

  /** The first event that fits, from the beginning of the log on; waits for it. */
  async untilEvent(
    id: string,
    fits: (event: LoggedEvent) => boolean,
    timeoutMs = ENDED_WITHIN_MS,
    client = this.api,
  ): Promise<LoggedEvent> {
    const abort = new AbortController();
    const timer = setTimeout(() => abort.abort(), timeoutMs);
    const seen: string[] = [];
    try {
      for await (const event of client.stream(id, { signal: abort.signal })) {
        seen.push(`${event.kind} ${event.stepId ?? ''}`.trim());
        if (fits(event)) return event;
      }
    } catch (error) {
      if (!abort.signal.aborted) throw error;
    } finally {
      clearTimeout(timer);
      abort.abort();
    }
    throw new Error(`${id}: the awaited event did not come within ${timeoutMs} ms; seen: ${seen.slice(-30).join(', ')}\n${this.logs()}`);
  }

  untilKind(id: string, kind: string, stepId?: string): Promise<LoggedEvent> {
    return this.untilEvent(id, (event) => event.kind === kind && (stepId === undefined || event.stepId === stepId));
  }

  /** `client`: a reader that may see it, when that is not the admin: runs belong to who started them. */
  async untilEnded(id: string, timeoutMs = ENDED_WITHIN_MS, client = this.api): Promise<Execution> {
    await this.untilEvent(
      id,
      ({ kind }) => kind === 'execution.completed' || kind === 'execution.failed' || kind === 'execution.cancelled',
      timeoutMs,
      client,
    );
    const execution = await this.execution(id, client);
    if (!TERMINAL.includes(execution.status)) throw new Error(`${id} is ${execution.status} behind its terminal event`);
    return execution;
  }

  /** For states that no event tells; asked every 50 ms. */
  async untilStatus(id: string, status: Status, timeoutMs = ENDED_WITHIN_MS): Promise<Execution> {
    return await this.until(
      `${id} ${status}`,
      async () => {
        const execution = await this.execution(id);
        return execution.status === status ? execution : undefined;
      },
      timeoutMs,
    );
  }

  /** The gates of the run, when there are that many pending ones. */
  async openApprovals(id: string, count = 1): Promise<readonly Approval[]> {
    return await this.until(`${count} gates of ${id}`, async () => {
      const { body } = await this.api.get<{ items: Approval[] }>(`/api/approvals?status=pending&executionId=${encodeURIComponent(id)}`);
      return body.items.length >= count ? body.items : undefined;
    });
  }

  async openApproval(id: string): Promise<Approval> {
    return (await this.openApprovals(id))[0] as Approval;
  }

  approval(id: string): Promise<Approval> {
    return this.api.get<{ approval: Approval }>(`/api/approvals/${id}`).then(({ body }) => body.approval);
  }

  /** Polls with a deadline; a gateway that is away counts as "not yet". */
  async until<T>(what: string, look: () => Promise<T | undefined>, timeoutMs = READY_WITHIN_MS): Promise<T> {
    for (const deadline = Date.now() + timeoutMs; ; await sleep(50)) {
      const found = await look().catch((error: unknown) => {
        if (isConnectionFault(error)) return undefined;
        throw error;
      });
      if (found !== undefined) return found;
      if (Date.now() > deadline) throw new Error(`waited ${timeoutMs} ms for ${what}\n${this.logs()}`);
    }
  }

  /** seq 1, 2, 3 …, the start first, exactly one terminal event and nothing behind it. @returns the log */
  async expectGapFreeLog(id: string): Promise<LoggedEvent[]> {
    const events = await this.events(id);
    const ends = events.filter(({ kind }) => TERMINAL.some((status) => kind === `execution.${status}`));
    expect(events.map(({ seq }) => seq)).toEqual(events.map((_, index) => index + 1));
    expect(events[0]?.kind).toBe('execution.started');
    expect(ends).toHaveLength(1);
    expect(events.at(-1)).toBe(ends[0]);
    return events;
  }

  // ---- Temporal ----

  async temporalClient(): Promise<Client> {
    this.temporal ??= new Client({
      connection: await Connection.connect({ address: this.servers.temporalAddress }),
      namespace: this.servers.namespace,
    });
    return this.temporal;
  }

  async history(
    id: string,
  ): Promise<NonNullable<Awaited<ReturnType<ReturnType<Client['workflow']['getHandle']>['fetchHistory']>>['events']>> {
    return (await (await this.temporalClient()).workflow.getHandle(id).fetchHistory()).events ?? [];
  }

  /** The history with its payloads readable: to look for what must not be in it. */
  async historyText(id: string): Promise<string> {
    return JSON.stringify(readable(await this.history(id)));
  }

  /** Temporal's own word for the end of the run. */
  async temporalStatus(id: string): Promise<string> {
    return (await (await this.temporalClient()).workflow.getHandle(id).describe()).status.name;
  }

  // ---- people ----

  /** A user with a key of their own. */
  async person(
    name: string,
    options: { readonly role?: string; readonly groups?: readonly string[]; readonly kind?: 'person' | 'agent' } = {},
  ): Promise<Person> {
    const { role = 'runner', groups = [], kind = 'person' } = options;
    const email = `${name}-${randomBytes(3).toString('hex')}@example.test`;
    const { body: made, text } = await this.api.post<{ user: { id: string } }>('/api/users', { name, email, role, groups });
    if (made?.user === undefined) throw new Error(`making user ${name}: ${text}`);
    const key = await this.api.post<{ secret: string }>('/api/keys', { name: `${name}'s key`, role, userId: made.user.id, kind });
    if (key.status !== 201) throw new Error(`making a key for ${name}: ${key.text}`);
    return { id: made.user.id, name, email, client: this.api.withKey(key.body.secret) };
  }

  private logs(): string {
    return `--- gateway\n${this.gateway.lastLines()}\n--- worker\n${this.worker.lastLines()}`;
  }
}

export interface Person {
  readonly id: string;
  readonly name: string;
  readonly email: string;
  readonly client: ServiceClient;
}

let names = 0;
/** Names are unique within a service; saving by a used name would update. */
export function freshName(word = 'Test'): string {
  names += 1;
  return `${word} ${process.pid}-${names}`;
}

const isSteps = (definition: DefinitionJson | readonly StepJson[]): definition is readonly StepJson[] => Array.isArray(definition);

/** Bytes as text, wherever they are. Other realms' arrays are told by `isView`. */
function readable(value: unknown): unknown {
  if (ArrayBuffer.isView(value)) return Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('utf8');
  if (Array.isArray(value)) return value.map(readable);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, readable(part)]));
}
