/**
 * What the operations ask of Temporal, and its real implementation. No answer of the server is an exception here: a
 * command that could not be sent stays undelivered in its row, and the reconciler repeats it.
 */
import { Client, Connection, isGrpcServiceError, WorkflowExecutionAlreadyStartedError, WorkflowNotFoundError } from '@temporalio/client';
import type { ExecutionInput } from '../engine/types.js';
import type { ChildSignal, ConversationInput, EventSignal, MessageSignal, PauseSignal, StopSignal } from '../workflows/messages.js';
import { CONVERSATION_WORKFLOW, EXECUTION_WORKFLOW, TASK_QUEUES, WORKFLOW_TASK_TIMEOUT } from '../workflows/messages.js';
import { ClientScheduleGateway, type ScheduleGateway } from './schedule-gateway.js';
import type { SignalledDecision } from './signalled-decision.js';
import { toSearchAttributes, toSummary, type StartedAttributes } from './started-workflow.js';

export interface StartRequest {
  /** The Temporal workflow id is the execution's id. */
  readonly executionId: string;
  /** The definition's name: what operators read in lists. */
  readonly summary: string;
  readonly input: ExecutionInput;
  readonly attributes: StartedAttributes;
}
export type SignalName = 'approve' | 'event' | 'pause' | 'resume' | 'child' | 'stop';
/** The payload of that signal, as workflows/messages.ts types it; plain JSON. */
export type SignalPayload = SignalledDecision | EventSignal | PauseSignal | ChildSignal | StopSignal;

/** `sent`: Temporal has it durably. `gone`: no open workflow of this id. `unavailable`: not known to have arrived; repeat it. */
export type SendOutcome = { readonly kind: 'sent' } | { readonly kind: 'gone' } | { readonly kind: 'unavailable'; readonly error: Error };
/** `running`: open, or the next run of a hand-over. `unknown`: Temporal has never heard of it, or has forgotten it. */
export type Liveness = 'running' | 'closed' | 'unknown';

export interface ConversationAddress {
  readonly sessionId: string;
  readonly ownerId: string;
}
export type ConversationSignal =
  | { readonly name: 'message'; readonly payload: MessageSignal }
  | { readonly name: 'stop'; readonly payload: StopSignal };

export interface TemporalGateway {
  readonly schedules: ScheduleGateway;
  /** Starts once: an id that is or was in use is `sent`. Never `gone`. */
  startExecution(request: StartRequest): Promise<SendOutcome>;
  signal(workflowId: string, name: SignalName, payload: SignalPayload): Promise<SendOutcome>;
  /** Tells a conversation something, starting it where none is open. Never `gone`. */
  tellConversation(conversation: ConversationAddress, signal: ConversationSignal): Promise<SendOutcome>;
  /** The server may take it also for what has ended. */
  cancel(executionId: string): Promise<SendOutcome>;
  /** Ids that could not be asked are absent from the answer. */
  describe(executionIds: readonly string[]): Promise<ReadonlyMap<string, Liveness>>;
  /** Executions that were terminated or timed out at or after an instant (ms); eventually consistent; undefined when Temporal is away. */
  listClosed(sinceMs: number): Promise<readonly string[] | undefined>;
  close(): Promise<void>;
}

export interface TemporalGatewayOptions {
  readonly address: string;
  readonly namespace: string;
  /** How long one call may take, retries included. */
  readonly deadlineMs?: number;
  readonly taskQueue?: string;
}

/** gRPC would wait up to two minutes between attempts to reach a server that was away. */
const RECONNECT = { 'grpc.initial_reconnect_backoff_ms': 100, 'grpc.max_reconnect_backoff_ms': 1_000 };
const DESCRIBE_AT_ONCE = 20;
const LIST_AT_MOST = 5_000;

/** A gateway over a lazy connection: the process starts also while Temporal is away. */
export function createTemporalGateway(options: TemporalGatewayOptions): TemporalGateway {
  return new ClientGateway(Connection.lazy({ address: options.address, channelArgs: RECONNECT }), options);
}

class ClientGateway implements TemporalGateway {
  readonly schedules: ScheduleGateway;
  private readonly client: Client;
  private readonly inFlight = new Set<Promise<unknown>>();

  constructor(
    private readonly connection: Connection,
    private readonly options: TemporalGatewayOptions,
  ) {
    this.client = new Client({ connection, namespace: options.namespace });
    this.schedules = new ClientScheduleGateway({
      client: this.client,
      taskQueue: options.taskQueue,
      call: (work) => this.call(work),
      toError,
    });
  }

  async startExecution(request: StartRequest): Promise<SendOutcome> {
    const { executionId, attributes } = request;
    const outcome = await this.send(() =>
      this.client.workflow.start(EXECUTION_WORKFLOW, {
        workflowId: executionId,
        taskQueue: this.options.taskQueue ?? TASK_QUEUES.core,
        args: [request.input],
        // Both are needed: the first refuses an id that has ended, the second joins one that is open (temporal-notes §21).
        workflowIdReusePolicy: 'REJECT_DUPLICATE',
        workflowIdConflictPolicy: 'USE_EXISTING',
        workflowTaskTimeout: WORKFLOW_TASK_TIMEOUT,
        staticSummary: toSummary(request.summary),
        typedSearchAttributes: toSearchAttributes(attributes),
      }),
    );
    return outcome;
  }

  signal(workflowId: string, name: SignalName, payload: SignalPayload): Promise<SendOutcome> {
    return this.send(() => this.client.workflow.getHandle(workflowId).signal(name, payload));
  }

  tellConversation({ sessionId, ownerId }: ConversationAddress, { name, payload }: ConversationSignal): Promise<SendOutcome> {
    return this.send(() =>
      this.client.workflow.signalWithStart(CONVERSATION_WORKFLOW, {
        workflowId: sessionId,
        taskQueue: this.options.taskQueue ?? TASK_QUEUES.core,
        args: [{ sessionId, ownerId } satisfies ConversationInput],
        signal: name,
        signalArgs: [payload],
        // A conversation that has gone quiet completes; the next message starts it again.
        workflowIdReusePolicy: 'ALLOW_DUPLICATE',
        workflowTaskTimeout: WORKFLOW_TASK_TIMEOUT,
        staticSummary: 'Conversation',
        typedSearchAttributes: toSearchAttributes({ workflow: 'Conversation', owner: ownerId, status: 'running', trigger: 'chat' }),
      }),
    );
  }

  cancel(executionId: string): Promise<SendOutcome> {
    return this.send(() => this.client.workflow.getHandle(executionId).cancel());
  }

  async describe(executionIds: readonly string[]): Promise<ReadonlyMap<string, Liveness>> {
    const found = new Map<string, Liveness>();
    for (let from = 0; from < executionIds.length; from += DESCRIBE_AT_ONCE) {
      const batch = executionIds.slice(from, from + DESCRIBE_AT_ONCE);
      const answers = await Promise.all(batch.map((id) => this.describeOne(id)));
      batch.forEach((id, index) => {
        const answer = answers[index];
        if (answer !== undefined) found.set(id, answer);
      });
      // A server that is away would be asked once per batch and deadline: one silent batch is answer enough.
      if (answers.every((answer) => answer === undefined)) break;
    }
    return found;
  }

  private async describeOne(id: string): Promise<Liveness | undefined> {
    try {
      const { status } = await this.call(() => this.client.workflow.getHandle(id).describe());
      return status.name === 'RUNNING' || status.name === 'CONTINUED_AS_NEW' || status.name === 'PAUSED' ? 'running' : 'closed';
    } catch (error) {
      return error instanceof WorkflowNotFoundError ? 'unknown' : undefined;
    }
  }

  async listClosed(sinceMs: number): Promise<readonly string[] | undefined> {
    const since = new Date(sinceMs).toISOString();
    const query = `WorkflowType = '${EXECUTION_WORKFLOW}' AND CloseTime >= '${since}' AND ExecutionStatus IN ('Terminated', 'TimedOut')`;
    try {
      return await this.call(async () => {
        const ids: string[] = [];
        for await (const info of this.client.workflow.list({ query, pageSize: 500 })) {
          ids.push(info.workflowId);
          if (ids.length >= LIST_AT_MOST) break;
        }
        return ids;
      });
    } catch {
      return undefined;
    }
  }

  /** Closing a connection under a pending retry throws from a timer and ends the process: calls are let end first. */
  async close(): Promise<void> {
    await Promise.allSettled(this.inFlight);
    await this.connection.close();
  }

  private async send(call: () => Promise<unknown>): Promise<SendOutcome> {
    try {
      await this.call(call);
      return { kind: 'sent' };
    } catch (error) {
      if (error instanceof WorkflowExecutionAlreadyStartedError) return { kind: 'sent' };
      if (error instanceof WorkflowNotFoundError) return { kind: 'gone' };
      return { kind: 'unavailable', error: toError(error) };
    }
  }

  private call<T>(work: () => Promise<T>): Promise<T> {
    const deadline = Date.now() + (this.options.deadlineMs ?? 5_000);
    const job = this.connection.withDeadline(deadline, work);
    const tracked = job.catch(() => undefined).finally(() => this.inFlight.delete(tracked));
    this.inFlight.add(tracked);
    return job;
  }
}

function toError(error: unknown): Error {
  if (isGrpcServiceError(error)) return new Error(`Temporal: ${error.details || error.message}`, { cause: error });
  return error instanceof Error ? error : new Error(String(error));
}
