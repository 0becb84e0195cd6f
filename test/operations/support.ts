import { randomBytes } from 'node:crypto';
import { createBackground, type Background } from '../../src/operations/background.js';
import type { OperationDeps } from '../../src/operations/deps.js';
import type { Principal } from '../../src/operations/principal.js';
import type { Role } from '../../src/operations/role-matrix.js';
import type {
  ConversationAddress,
  ConversationSignal,
  Liveness,
  SendOutcome,
  SignalName,
  SignalPayload,
  StartRequest,
  TemporalGateway,
} from '../../src/operations/temporal-gateway.js';
import { openDatabase, type Database } from '../../src/store/database.js';
import { createUser } from '../../src/store/users.js';
import { createTestDatabase } from '../support/postgres.js';
import { RecordingSchedules } from '../support/recording-schedules.js';

/** Remembers what it was asked; an id is open from its start until the test says otherwise. */
export class RecordingGateway implements TemporalGateway {
  readonly schedules = new RecordingSchedules();
  readonly starts: StartRequest[] = [];
  readonly signals: { readonly executionId: string; readonly name: SignalName; readonly payload: SignalPayload }[] = [];
  readonly cancels: string[] = [];
  readonly told: (ConversationSignal & { readonly sessionId: string })[] = [];
  readonly lives = new Map<string, Liveness>();
  closed: string[] = [];
  isAway = false;

  async startExecution(request: StartRequest): Promise<SendOutcome> {
    if (this.isAway) return AWAY();
    this.starts.push(request);
    if (!this.lives.has(request.executionId)) this.lives.set(request.executionId, 'running');
    return { kind: 'sent' };
  }
  async signal(executionId: string, name: SignalName, payload: SignalPayload): Promise<SendOutcome> {
    return this.reach(executionId, () => this.signals.push({ executionId, name, payload }));
  }
  async tellConversation({ sessionId }: ConversationAddress, signal: ConversationSignal): Promise<SendOutcome> {
    if (this.isAway) return AWAY();
    this.told.push({ sessionId, ...signal });
    this.lives.set(sessionId, 'running');
    return { kind: 'sent' };
  }
  async cancel(executionId: string): Promise<SendOutcome> {
    return this.reach(executionId, () => this.cancels.push(executionId));
  }
  async describe(ids: readonly string[]): Promise<ReadonlyMap<string, Liveness>> {
    return new Map(this.isAway ? [] : ids.map((id) => [id, this.lives.get(id) ?? 'unknown']));
  }
  async listClosed(): Promise<readonly string[] | undefined> {
    return this.isAway ? undefined : this.closed;
  }
  async close(): Promise<void> {}

  signalsTo(executionId: string, name?: SignalName) {
    return this.signals.filter((signal) => signal.executionId === executionId && (name === undefined || signal.name === name));
  }
  private reach(executionId: string, note: () => void): SendOutcome {
    if (this.isAway) return AWAY();
    if (this.lives.get(executionId) !== 'running') return { kind: 'gone' };
    note();
    return { kind: 'sent' };
  }
}
const AWAY = (): SendOutcome => ({ kind: 'unavailable', error: new Error('away') });

export interface TestBench extends OperationDeps {
  readonly temporal: RecordingGateway;
  readonly background: Background;
  readonly signalDecisions: true;
  /** What the background could not do. */
  readonly faults: unknown[];
  close(): Promise<void>;
}

/** Operations over a database of their own and a Temporal that only takes notes. */
export async function aBench(overrides: Partial<Pick<OperationDeps, 'limits' | 'toolIds'>> = {}): Promise<TestBench> {
  const database = await createTestDatabase();
  const db: Database = openDatabase(database.url);
  const faults: unknown[] = [];
  const background = createBackground((_what, error) => faults.push(error));
  return {
    db,
    faults,
    background,
    temporal: new RecordingGateway(),
    log: { info: () => {}, warn: () => {}, error: () => {} },
    signalDecisions: true,
    limits: { activePerUser: 10, active: 100 },
    toolIds: () => ['http:request'],
    lightToolIds: ['http:request'],
    encryptionKey: new Uint8Array(32).fill(7),
    ...overrides,
    async close() {
      await background.drain();
      await db.close();
      await database.drop();
    },
  };
}

/** A person with a row. */
export async function aPerson(
  bench: OperationDeps,
  overrides: { readonly role?: Role; readonly groups?: readonly string[]; readonly kind?: 'person' | 'agent'; readonly name?: string } = {},
): Promise<Principal> {
  const { role = 'editor', groups = [], kind = 'person', name = 'Ana' } = overrides;
  const user = await createUser(bench.db, { name, email: `${randomBytes(5).toString('hex')}@example.test`, role, groups });
  return { userId: user.id, name, email: user.email, groups, role, kind, keyId: null, scopes: null };
}

/** A definition of one step that needs nothing. */
export const aDefinition = (overrides: object = {}): object => ({
  name: 'Greet',
  steps: [{ id: 'hello', type: 'set', values: { greeting: 'hi' } }],
  ...overrides,
});
