/** The workflow of conversations with the production bundle and activities in memory: messages, turns and gates are scripted. */
import { Context } from '@temporalio/activity';
import { Client, Connection, type WorkflowHandle } from '@temporalio/client';
import { NativeConnection, Worker } from '@temporalio/worker';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ChatAgentActivities, ChatCoreActivities } from '../../src/activities/conversation/contract.js';
import { ensureSearchAttributes } from '../../src/embedded/search-attributes.js';
import type { AgentTurn } from '../../src/engine/agent/types.js';
import type { GateOutcome, GateStatus } from '../../src/engine/types.js';
import { CONVERSATION_WORKFLOW, TASK_QUEUES, type ConversationInput } from '../../src/workflows/messages.js';
import { historyText } from './history-text.js';

/** What the model does at one call: says something, calls a tool (held or not), fails, or hangs until it is stopped. */
export type Said = 'reply' | 'call' | 'held' | 'fault' | 'hang';

export interface ChatScenario {
  readonly name: string;
  /** Of each message in order, what the model does at each of its calls. */
  readonly script: readonly (readonly Said[])[];
  readonly input?: Partial<ConversationInput>;
  readonly drive?: (chat: ChatPlay) => Promise<void>;
  /** What was done, in order. */
  readonly expected: readonly string[];
}

export interface ChatPlay {
  readonly handle: WorkflowHandle;
  readonly journal: readonly string[];
  /** Until that line stands in the journal. */
  seen(line: string): Promise<void>;
  /** Settles the gate, as the API would. */
  settle(messageNumber: number, status: GateStatus): Promise<void>;
}

const NO_USAGE = { inputTokens: 1, outputTokens: 1, cacheReadTokens: 0, models: ['m'] };
const outcome = (approvalId: string, status: GateStatus): GateOutcome => ({
  approvalId,
  status,
  decidedBy: [],
  decidedAt: null,
  reason: null,
  answer: { v: null },
});

/** One conversation's world. Messages are `msg_1`, `msg_2` …; nothing waits for the clock. */
class ChatWorld {
  readonly journal: string[] = [];
  private readonly answered = new Set<string>();
  private readonly gates = new Map<string, GateStatus>();

  constructor(private readonly script: ChatScenario['script']) {}

  note(line: string): void {
    if (!this.journal.includes(line)) this.journal.push(line);
  }

  settle(approvalId: string, status: GateStatus): void {
    this.gates.set(approvalId, status);
  }

  core(): ChatCoreActivities {
    return {
      chatNext: async ({ delivered }) => {
        for (const id of delivered) {
          this.answered.add(id);
          this.note(`delivered ${id}`);
        }
        const place = this.script.findIndex((_, index) => !this.answered.has(`cmd_${index + 1}`));
        if (place < 0) return null;
        const id = place + 1;
        return {
          messageId: `msg_${id}`,
          seq: id,
          commandId: `cmd_${id}`,
          thread: 'default',
          opened: { at: Date.now(), models: ['m', 'n'], characters: 10 },
        };
      },
      chatTool: async ({ messageId, approvalId }) => {
        const status = approvalId === null ? 'free' : this.gates.get(approvalId);
        this.note(`tool ${messageId} ${status}`);
        return { end: { at: Date.now(), ended: 'completed', characters: 5 } };
      },
      openChatGate: async ({ messageId }) => {
        const approvalId = `apr_${messageId}`;
        if (!this.gates.has(approvalId)) this.gates.set(approvalId, 'pending');
        this.note(`gate ${messageId}`);
        return outcome(approvalId, this.gates.get(approvalId) ?? 'pending');
      },
      closeChatGate: async ({ approvalId, to }) => {
        if (this.gates.get(approvalId) === 'pending') this.gates.set(approvalId, to);
        this.note(`${approvalId} ${this.gates.get(approvalId)}`);
        return outcome(approvalId, this.gates.get(approvalId) ?? to);
      },
      readChatGate: async ({ approvalId }) => {
        const status = this.gates.get(approvalId);
        return status === undefined ? null : outcome(approvalId, status);
      },
      chatClose: async ({ messageId, error }) => this.note(`close ${messageId} ${error === null ? 'stopped' : error.code}`),
    };
  }

  agent(): ChatAgentActivities {
    return {
      chatTurn: async ({ messageId, turn, model }) => {
        const what = this.script[Number(messageId.slice('msg_'.length)) - 1]?.[turn - 1] ?? 'reply';
        this.note(`turn ${messageId} ${turn} ${what}${model === 'm' ? '' : ` by ${model}`}`);
        return { turn: await this.turn(`trn_${messageId}_${turn}`, model === 'm' ? what : 'reply') };
      },
    };
  }

  private async turn(turnId: string, what: Said): Promise<AgentTurn> {
    const base = { at: Date.now(), turnIds: [turnId], usage: NO_USAGE };
    switch (what) {
      case 'reply':
        return { ...base, got: 'reply', turnId, output: { v: null } };
      case 'call':
      case 'held':
        return {
          ...base,
          got: 'calls',
          turnId,
          characters: 5,
          calls: [{ callId: 'toolu/1', queue: 'core', way: what === 'held' ? 'hold' : 'run' }],
        };
      case 'fault':
        return {
          ...base,
          got: 'fault',
          error: { code: 'agent_prompt_model_error', message: 'no', retryable: false },
          failover: turnId.endsWith('_1'),
        };
      case 'hang': {
        const { cancellationSignal } = Context.current();
        const heartbeat = setInterval(() => Context.current().heartbeat(), 100);
        await new Promise<void>((resolve) => cancellationSignal.addEventListener('abort', () => resolve(), { once: true }));
        clearInterval(heartbeat);
        return { ...base, got: 'cancelled' };
      }
    }
  }
}

export interface ChatPlayed {
  readonly journal: readonly string[];
  /** One for each Temporal run of it, the first one first. */
  readonly histories: readonly string[];
}

/** Plays scenarios at once, on a server of the caller's. */
export async function playChats(
  options: { readonly address: string; readonly bundle: string },
  scenarios: readonly ChatScenario[],
): Promise<ReadonlyMap<string, ChatPlayed>> {
  const namespace = 'default';
  await ensureSearchAttributes(options.address, namespace, () => undefined);
  const [connection, native] = await Promise.all([
    Connection.connect({ address: options.address }),
    NativeConnection.connect({ address: options.address }),
  ]);
  const client = new Client({ connection, namespace });
  const worlds = new Map(scenarios.map((scenario) => [idOf(scenario), new ChatWorld(scenario.script)]));
  const worldOf = ({ sessionId }: { readonly sessionId: string }): ChatWorld => worlds.get(sessionId) as ChatWorld;
  const activities = {
    ...byWorld(['chatNext', 'chatTool', 'openChatGate', 'closeChatGate', 'readChatGate', 'chatClose'], (input) => worldOf(input).core()),
    ...byWorld(['chatTurn'], (input) => worldOf(input).agent()),
  };
  const common = {
    connection: native,
    namespace,
    activities,
    maxHeartbeatThrottleInterval: '300ms',
    stickyQueueScheduleToStartTimeout: '1s',
  } as const;
  const workers = await Promise.all([
    Worker.create({ ...common, taskQueue: TASK_QUEUES.core, workflowBundle: { codePath: options.bundle } }),
    Worker.create({ ...common, taskQueue: TASK_QUEUES.agent }),
  ]);
  const running = Promise.all(workers.map((worker) => worker.run()));
  try {
    return new Map(
      await Promise.all(
        scenarios.map(async (scenario) => [scenario.name, await play(client, scenario, worldOf({ sessionId: idOf(scenario) }))] as const),
      ),
    );
  } finally {
    for (const worker of workers) worker.shutdown();
    await running;
    await native.close();
    await connection.close();
  }
}

const idOf = ({ name }: ChatScenario): string => `ses_${name}`;

type Activity = (input: never) => Promise<unknown>;

function byWorld(names: readonly string[], of: (input: { readonly sessionId: string }) => object): { readonly [name: string]: Activity } {
  return Object.fromEntries(
    names.map((name) => [
      name,
      (input: never) => (of(input) as { readonly [name: string]: Activity })[name]?.(input) ?? Promise.reject(new Error(name)),
    ]),
  );
}

async function play(client: Client, scenario: ChatScenario, world: ChatWorld): Promise<ChatPlayed> {
  const sessionId = idOf(scenario);
  const handle = await client.workflow.start(CONVERSATION_WORKFLOW, {
    workflowId: sessionId,
    taskQueue: TASK_QUEUES.core,
    args: [{ sessionId, ownerId: 'usr_1', idleMs: 500, ...scenario.input } satisfies ConversationInput],
    workflowTaskTimeout: '5s',
  });
  await scenario.drive?.({
    handle,
    journal: world.journal,
    seen: (line) => until(() => world.journal.includes(line), `${scenario.name}: ${line}`, world),
    settle: async (messageNumber, status) => {
      world.settle(`apr_msg_${messageNumber}`, status);
      await handle.signal('approve', { approvalId: `apr_msg_${messageNumber}` });
    },
  });
  await handle.result().catch(() => undefined);
  const runIds: string[] = [];
  await until(
    async () => {
      runIds.length = 0;
      for await (const run of client.workflow.list({ query: `WorkflowId = '${sessionId}'` })) runIds.push(run.runId);
      return runIds.length > 0;
    },
    `${scenario.name}: its runs`,
    world,
  );
  const histories = await Promise.all(
    runIds.map(async (runId) => historyText(await client.workflow.getHandle(sessionId, runId).fetchHistory())),
  );
  return { journal: world.journal, histories: histories.toReversed() };
}

async function until(isSo: () => boolean | Promise<boolean>, what: string, world: ChatWorld): Promise<void> {
  for (const deadline = Date.now() + 20_000; !(await isSo()); await sleep(20))
    if (Date.now() > deadline) throw new Error(`waited for ${what}; done: ${world.journal.join(', ')}`);
}
