import type { Database } from '../store/database.js';
import type { StepAnswer } from '../engine/types.js';
import type { Settled } from '../store/end-execution.js';
import { getRunIdentity } from '../store/executions.js';
import { readSecrets } from '../store/secrets.js';
import type { DeltaSender } from '../store/deltas.js';
import type { HttpClient } from '../tools/http/send-http.js';
import type { ShellHost } from '../tools/shell/shell-host.js';
import type { ToolRegistry } from '../tools/registry.js';
import type { AgentTools } from '../tools/index.js';
import { type AgentStepActivities, type AgentTurnInput, createAgentStepActivities } from './agent/agent-activities.js';
import { createAgentPromptV1 } from './agent/agent-turn-v1.js';
import { createBashActivity } from './bash-activity.js';
import { createCarryWriter } from './carry-writer.js';
import { createCancelChildActivity, createPrepareChildActivity, type ChildOperations } from './child-activities.js';
import type { AgentActivities, CoreActivities, ShellActivities } from './contract.js';
import { createChatActivities } from './conversation/chat-activities.js';
import type { ChatAgentActivities, ChatCoreActivities, ChatShellActivities } from './conversation/contract.js';
import { createEvaluateActivity, createStoreActivity } from './evaluate-activity.js';
import { createExpireGateActivity, createOpenGateActivity, createReadGateActivity, type GateParts } from './gate-activities.js';
import type { ModelClient } from './model/model-client.js';
import { createNotifyActivity, type SlackNotifier } from './notify-activity.js';
import { createReadRun, heartbeating, received, receivedWithRun } from './received.js';
import type { RecordingParts } from './record-step.js';
import {
  createBeginCancelActivity,
  createFlushActivity,
  createLoadActivity,
  type StartTick,
  createRecoverActivity,
  createSettleActivity,
} from './run-activities.js';
import { createRunFacts } from './run-facts.js';
import { createRunStore, createStepJournal } from './run-store.js';
import { createHaltSegmentsActivity, createSegmentActivity } from './segment/segment-activity.js';
import { createMessagePoster, createTranscript } from './session-messages.js';
import type { StepCallInput } from './step-call.js';
import { createToolActivity } from './tool-activity.js';
import { createTurns } from './turns.js';

export interface ActivityDependencies {
  readonly db: Database;
  /** 32 bytes: opens the owners' secrets. */
  readonly encryptionKey: Uint8Array;
  readonly tools: ToolRegistry;
  readonly agentTools: AgentTools;
  /** Where tokens go while they stream. */
  readonly deltas: Pick<DeltaSender, 'send'>;
  readonly http: HttpClient;
  /** Absent: no Slack is connected. */
  readonly slack?: SlackNotifier;
  readonly model: ModelClient;
  /** Models in order of preference, for steps that name none. */
  readonly models: readonly string[];
  /** The built-in demo model answers: conversations say so. */
  readonly isDemoModel?: boolean;
  readonly shell: ShellHost;
  /** What runs have in common with every other door (operations). */
  readonly operations: ActivityOperations;
  /** Aborted when the worker begins to stop: segments start nothing more. */
  readonly stopping?: AbortSignal;
}

type V1Input = StepCallInput & { readonly turn: number };
type AgentTurnDone = Awaited<ReturnType<AgentStepActivities['turn']>>;

export interface ActivityOperations extends ChildOperations {
  readonly readSignalledGate: GateParts['readSignalledGate'];
  /** Called for every end of a row that an activity brought about. */
  afterSettled(settled: Settled): void;
  readonly startTick: StartTick;
}

/** The activities of the three task queues; a worker registers the sets of the queues that it serves. */
export interface Activities {
  readonly core: CoreActivities & ChatCoreActivities;
  readonly agent: AgentActivities & ChatAgentActivities;
  readonly shell: ShellActivities & ChatShellActivities;
}

export function createActivities(dependencies: ActivityDependencies): Activities {
  const { db, encryptionKey, operations } = dependencies;
  const journal = createStepJournal(db);
  const facts = createRunFacts(createRunStore(db, (ownerId, names) => readSecrets(db, encryptionKey, ownerId, names)));
  const carry = createCarryWriter(db);
  const recording: RecordingParts = { journal, facts };
  const gates: GateParts = {
    db,
    facts,
    journal,
    carry,
    readSignalledGate: (executionId, signal) => operations.readSignalledGate(executionId, signal),
  };
  const readRun = createReadRun((executionId) => getRunIdentity(db, executionId));
  const readRunOfStep = heartbeating(readRun);
  const stopping = dependencies.stopping === undefined ? {} : { stopping: dependencies.stopping };
  const { model, models, agentTools } = dependencies;
  const turns = createTurns({ db, deltas: dependencies.deltas });
  const agent = createAgentStepActivities({ db, facts, turns, model, models, tools: agentTools });
  const chat = createChatActivities({
    db,
    encryptionKey,
    turns,
    model,
    models,
    tools: agentTools,
    isDemoModel: dependencies.isDemoModel ?? false,
    readSignalledGate: (executionId, signal) => operations.readSignalledGate(executionId, signal),
  });
  const agentPromptV1 = createAgentPromptV1(recording, { model, models, transcript: createTranscript(db) });
  const run = { db, journal, afterSettled: (settled: Settled) => operations.afterSettled(settled) };
  const tool = receivedWithRun(readRunOfStep, createToolActivity(recording, dependencies.tools));
  return {
    core: {
      tool,
      notify: receivedWithRun(
        readRunOfStep,
        createNotifyActivity(recording, {
          http: dependencies.http,
          messages: createMessagePoster(db),
          ...(dependencies.slack === undefined ? {} : { slack: dependencies.slack }),
        }),
      ),
      openGate: receivedWithRun(readRun, createOpenGateActivity(gates)),
      expireGate: receivedWithRun(readRun, createExpireGateActivity(db)),
      readGate: receivedWithRun(readRun, createReadGateActivity(gates)),
      prepareChild: receivedWithRun(readRun, createPrepareChildActivity({ facts, carry, children: operations })),
      cancelChild: receivedWithRun(readRun, createCancelChildActivity(operations)),
      evaluate: receivedWithRun(readRun, createEvaluateActivity(facts, carry)),
      store: receivedWithRun(readRun, createStoreActivity(facts, carry)),
      agentOpen: receivedWithRun(readRun, agent.open),
      agentTool: receivedWithRun(readRunOfStep, agent.tool),
      openCallGate: receivedWithRun(readRun, agent.openGate),
      agentClose: receivedWithRun(readRun, agent.close),
      recover: received(createRecoverActivity(journal)),
      segment: receivedWithRun(readRunOfStep, createSegmentActivity({ db, facts, tools: dependencies.tools, ...stopping })),
      haltSegments: received(createHaltSegmentsActivity(db)),
      flush: received(createFlushActivity(db)),
      settle: received(createSettleActivity(run)),
      beginCancel: received(createBeginCancelActivity(run)),
      load: createLoadActivity(db, (tick) => operations.startTick(tick)),
      ...chat.core,
    },
    agent: {
      ...chat.agent,
      agentTurn: receivedWithRun(
        readRunOfStep,
        (input: AgentTurnInput | V1Input): Promise<StepAnswer | AgentTurnDone> =>
          'scope' in input ? agentPromptV1(input) : agent.turn(input),
      ),
    },
    shell: {
      ...chat.shell,
      agentTool: receivedWithRun(readRunOfStep, agent.tool),
      tool,
      bash: receivedWithRun(readRunOfStep, createBashActivity(recording, dependencies.shell)),
    },
  };
}
