/** A person with an execution and its session, and turns that stream into it as a worker writes them. */
import { createTurns } from '../../../src/activities/turns.js';
import { createRedactor } from '../../../src/operations/redaction.js';
import { append } from '../../../src/store/event-log.js';
import { createDeltaSender, type Delta, type DeltaSender } from '../../../src/store/deltas.js';
import { newId } from '../../../src/store/ids.js';
import type { ExecutionRecord } from '../../../src/store/execution-record.js';
import { openGate, type NewGate } from '../../../src/store/gates.js';
import { startExecution } from '../../../src/store/start-execution.js';
import type { TurnPlace } from '../../../src/store/turn-record.js';
import { claimTurns, openTurn } from '../../../src/store/turns.js';
import type { ApiUnderTest } from '../../api/api-under-test.js';
import { aNewExecution, aNewGate } from '../../store/builders.js';
import { SocketClient } from './socket-client.js';

let calls = 0;
let gates = 0;
let ordinal = 0;

export class LiveSession {
  private constructor(
    readonly api: ApiUnderTest,
    readonly ownerId: string,
    readonly key: string,
    readonly keyId: string,
    readonly execution: ExecutionRecord,
  ) {}

  static async start(api: ApiUnderTest, of?: { readonly id: string; readonly key: string; readonly keyId: string }): Promise<LiveSession> {
    const owner = of ?? (await api.person('admin', { name: 'Ana' }));
    const started = await startExecution(api.db, aNewExecution({ ownerId: owner.id }));
    if (started.kind !== 'started') throw new Error(started.kind);
    return new LiveSession(api, owner.id, owner.key, owner.keyId, started.execution);
  }

  get id(): string {
    return this.execution.sessionId;
  }

  get executionId(): string {
    return this.execution.id;
  }

  get channel(): string {
    return `session:${this.id}`;
  }

  /** A socket with the owner's key; the gateway may be another. */
  connect(api = this.api): Promise<SocketClient> {
    return SocketClient.open(api.port, '/ws', { headers: { authorization: `Bearer ${this.key}` } });
  }

  /** A socket that has subscribed to the session. */
  async follow(options: { readonly after?: number; readonly api?: ApiUnderTest } = {}): Promise<SocketClient> {
    const client = await this.connect(options.api);
    client.send({
      type: 'subscribe',
      id: 'follow',
      channel: this.channel,
      ...(options.after === undefined ? {} : { after: options.after }),
    });
    await client.answer('follow');
    return client;
  }

  place(overrides: Partial<TurnPlace> = {}): TurnPlace {
    calls += 1;
    return {
      ownerId: this.ownerId,
      sessionId: this.id,
      thread: 'default',
      author: 'Agent',
      call: `call-${calls}`,
      of: { executionId: this.executionId, instance: { stepId: 'ask', iterationPath: '', attempt: 1 } },
      ...overrides,
    };
  }

  /** A turn as an open row, without a writer: the test sends its deltas. */
  async openTurn(text = ''): Promise<string> {
    const { claim } = await claimTurns(this.api.db, this.place());
    const turnId = newId('trn');
    await openTurn(this.api.db, { claim, turnId, model: 'm', usage: null, parts: [{ type: 'text', text }] });
    return turnId;
  }

  /** The real writer of a model call. */
  async writer(deltas: DeltaSender, place = this.place()) {
    const call = await createTurns({ db: this.api.db, deltas }).claim(place);
    return call.writer({ model: 'm', redactor: createRedactor(new Map()) });
  }

  sender(): DeltaSender {
    return createDeltaSender(this.api.db.pool);
  }

  delta(turnId: string, offset: number, text: string, overrides: Partial<Delta> = {}): Delta {
    return { sessionId: this.id, turnId, attempt: 1, part: 0, offset, text, ...overrides };
  }

  async openGate(overrides: Partial<NewGate> = {}): Promise<string> {
    gates += 1;
    const instance = { stepId: `gate${gates}`, iterationPath: '', attempt: 1 };
    const opened = await openGate(this.api.db, aNewGate(this.execution, { instance, ...overrides }));
    if (opened.kind !== 'gate') throw new Error(opened.kind);
    return opened.gate.id;
  }

  /** Steps of the execution: in its own log, and in the session's. */
  async appendSteps(count: number, data: { readonly [field: string]: string } = {}): Promise<void> {
    const instance = { stepId: 'a', iterationPath: 'l:i0', attempt: 1 };
    await append(
      this.api.db,
      this.executionId,
      Array.from({ length: count }, () => ({
        kind: 'step.completed' as const,
        ordinal: `t${(ordinal += 1)}`,
        at: Date.now(),
        instance,
        data: { output: 'done', ...data },
      })),
    );
  }
}
