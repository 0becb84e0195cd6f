/** The real API over HTTP and a real database of its own; Temporal alone is a recorder that takes everything. */
import { createServer, request, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import pino from 'pino';
import { createApp } from '../../src/api/app.js';
import type { ApiDependencies } from '../../src/api/dependencies.js';
import { callerOf, forget } from '../../src/api/authenticate.js';
import { createKeyRings } from '../../src/api/key-ring.js';
import { createApiMetrics } from '../../src/api/metrics.js';
import { RateLimiter } from '../../src/api/rate-limiter.js';
import { createBackground } from '../../src/operations/background.js';
import type { OperationDeps } from '../../src/operations/deps.js';
import type { Role } from '../../src/operations/role-matrix.js';
import type { ConversationSignal, Liveness, SendOutcome, TemporalGateway } from '../../src/operations/temporal-gateway.js';
import { Gateway as SocketGateway, type GatewayOptions } from '../../src/realtime/gateway.js';
import { Realtime } from '../../src/realtime/realtime.js';
import { openDatabase, type Database } from '../../src/store/database.js';
import { createKey } from '../../src/store/keys.js';
import { createUser } from '../../src/store/users.js';
import { createDirectTools, createHttpClient, openTools, type HttpClient, type OpenTools } from '../../src/tools/index.js';
import { createTestDatabase, type TestDatabase } from '../support/postgres.js';
import { RecordingSchedules } from '../support/recording-schedules.js';
import type { ProblemDocument } from '../support/service-shapes.js';

export interface Answer<Body> {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly body: Body;
}
export interface Sending {
  readonly key?: string | null;
  readonly body?: unknown;
  readonly headers?: { readonly [name: string]: string };
}
export type Refusal = ProblemDocument & { readonly [field: string]: unknown };

/** Takes everything, and remembers what. */
export class TemporalRecorder implements TemporalGateway {
  readonly schedules = new RecordingSchedules();
  readonly calls: string[] = [];
  answer: SendOutcome = { kind: 'sent' };

  startExecution = async ({ executionId }: { readonly executionId: string }): Promise<SendOutcome> => this.note(`start ${executionId}`);
  signal = async (executionId: string, name: string): Promise<SendOutcome> => this.note(`${name} ${executionId}`);
  tellConversation = async ({ sessionId }: { readonly sessionId: string }, { name, payload }: ConversationSignal): Promise<SendOutcome> =>
    this.note(`${name} ${sessionId} ${payload.id ?? ''}`);
  cancel = async (executionId: string): Promise<SendOutcome> => this.note(`cancel ${executionId}`);
  describe = async (): Promise<ReadonlyMap<string, Liveness>> => new Map();
  listClosed = async (): Promise<readonly string[]> => [];
  close = async (): Promise<void> => undefined;

  private note(call: string): SendOutcome {
    this.calls.push(call);
    return this.answer;
  }
}

export interface ApiOptions {
  /** Calls a minute of one webhook. */
  readonly webhookRate?: number;
  /** One more gateway behind the same database; it is closed before that one. */
  readonly beside?: ApiUnderTest;
  readonly port?: number;
  readonly sockets?: Partial<GatewayOptions>;
  /** How often rights are looked at without being told. */
  readonly recheckMs?: number;
  readonly tools?: Partial<Parameters<typeof openTools>[0]>;
}

export class ApiUnderTest {
  readonly temporal = new TemporalRecorder();
  readonly operations: OperationDeps;
  readonly logged: string[] = [];
  private readonly server: Server;
  readonly realtime: Realtime;
  readonly sockets: SocketGateway;
  private readonly http: HttpClient;
  private readonly openTools: OpenTools;

  private constructor(
    private readonly database: TestDatabase,
    readonly db: Database,
    private readonly options: ApiOptions,
  ) {
    const log = pino({ level: 'warn' }, { write: (line: string) => void this.logged.push(line) });
    this.operations = {
      db,
      temporal: this.temporal,
      log,
      background: createBackground((what, error) => log.error({ what, error }, 'background')),
      limits: { activePerUser: 0, active: 0 },
      toolIds: () => ['http:request'],
      lightToolIds: ['http:request'],
      argumentFaults: (tool, args) => this.openTools.toolbox.get(tool)?.argumentFaults?.(args) ?? [],
      encryptionKey: Buffer.alloc(32, 7),
    };
    this.http = createHttpClient({ allow: ['127.0.0.1'] });
    const settings = { httpAllow: [], skillsDir: undefined, toolPolicy: {}, mcpServers: {}, ...options.tools };
    this.openTools = openTools(settings, { db, http: this.http, shell: undefined });
    const rings = createKeyRings(db);
    this.realtime = new Realtime({
      connectionString: database.url,
      operations: this.operations,
      log,
      onRights: () => forget(rings),
      ...(options.recheckMs === undefined ? {} : { recheckMs: options.recheckMs }),
    });
    const gatekeepers = {
      ...rings,
      rateLimiter: new RateLimiter(0),
      onRateLimited: () => undefined,
    };
    const metrics = createApiMetrics();
    const deps: ApiDependencies = {
      operations: this.operations,
      events: this.realtime.hub,
      feeds: this.realtime.feeds,
      rights: this.realtime.rights,
      tools: createDirectTools({ operations: this.operations, ...this.openTools }),
      log,
      metrics,
      version: '0.0.0-test',
      webhooks: { limiter: new RateLimiter(options.webhookRate ?? 0), githubSecret: 'github-secret' },
      checkReplies: true,
      gatekeepers,
      readiness: async () => ({
        ready: false,
        postgres: { ok: true },
        temporal: { ok: false, address: 'none:7233', namespace: 'default' },
        worker: { ok: false },
      }),
    };
    this.server = createServer(createApp(deps));
    this.sockets = new SocketGateway({
      operations: this.operations,
      feeds: this.realtime.feeds,
      lists: this.realtime.lists,
      rights: this.realtime.rights,
      callerOf: (headers) => callerOf(headers, rings),
      takeCall: () => 0,
      metrics,
      version: deps.version,
      log,
      ...options.sockets,
    });
    this.server.on('upgrade', (req, socket, head) => this.sockets.handleUpgrade(req, socket, head));
  }

  static async start(options: ApiOptions = {}): Promise<ApiUnderTest> {
    const database = options.beside?.database ?? (await createTestDatabase());
    const api = new ApiUnderTest(database, openDatabase(database.url), options);
    await api.realtime.start();
    await new Promise<void>((resolve) => api.server.listen(options.port ?? 0, '127.0.0.1', resolve));
    return api;
  }

  async close(): Promise<void> {
    await this.sockets.close();
    this.realtime.hub.close();
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
    await this.operations.background.drain();
    await this.realtime.close();
    await this.openTools.toolbox.close();
    await this.http.close();
    await this.db.close();
    if (this.options.beside === undefined) await this.database.drop();
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  /** A person of this role with a key of it. */
  async person(
    role: Role,
    overrides: { readonly name?: string; readonly groups?: readonly string[]; readonly kind?: 'person' | 'agent' } = {},
  ): Promise<{ readonly id: string; readonly key: string; readonly keyId: string }> {
    const { name = role, groups = [], kind = 'person' } = overrides;
    people += 1;
    const user = await createUser(this.db, {
      name,
      email: `${name}-${people}@example.com`.toLowerCase().replaceAll(' ', '-'),
      role,
      groups,
    });
    const { key, secret } = await createKey(this.db, { userId: user.id, name: 'test', kind, role });
    return { id: user.id, key: secret, keyId: key.id };
  }

  /** Another key of a person. */
  async keyOf(
    userId: string,
    key: { readonly role: Role; readonly kind?: 'person' | 'agent'; readonly expiresAt?: string; readonly scopes?: readonly string[] },
  ): Promise<string> {
    return (await createKey(this.db, { userId, name: 'test', kind: 'person', ...key })).secret;
  }

  /** Paths go out exactly as given. */
  async send<Body = Refusal>(method: string, path: string, sending: Sending = {}): Promise<Answer<Body>> {
    const response = await this.open(method, path, sending);
    const chunks: Buffer[] = [];
    for await (const chunk of response) chunks.push(chunk as Buffer);
    const text = Buffer.concat(chunks).toString();
    const isJson = /json/.test(String(response.headers['content-type']));
    return { status: response.statusCode ?? 0, headers: response.headers, body: (isJson ? JSON.parse(text) : text) as Body };
  }

  open(method: string, path: string, { key, body, headers = {} }: Sending = {}): Promise<IncomingMessage> {
    const text = body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body);
    return new Promise((resolve, reject) => {
      const outgoing = request({
        host: '127.0.0.1',
        port: this.port,
        method,
        path,
        agent: false,
        headers: {
          ...(key === null || key === undefined ? {} : { authorization: `Bearer ${key}` }),
          ...(text === undefined ? {} : { 'content-type': 'application/json', 'content-length': String(Buffer.byteLength(text)) }),
          ...headers,
        },
      });
      outgoing.once('response', resolve).once('error', reject);
      outgoing.end(text);
    });
  }
}
let people = 0;
