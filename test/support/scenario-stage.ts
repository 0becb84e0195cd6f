/** Workers with the production bundle and fake activities, on a Temporal server of the caller's: runs scenarios, gives their histories. */
import { Client, Connection, type WorkflowHandle } from '@temporalio/client';
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js';
import { NativeConnection, Worker } from '@temporalio/worker';
import { setTimeout as sleep } from 'node:timers/promises';
import { ensureSearchAttributes } from '../../src/embedded/search-attributes.js';
import { ENGINE_VERSION, type ExecutionMeta, type StartData } from '../../src/engine/types.js';
import { TASK_QUEUES } from '../../src/workflows/messages.js';
import { childIdAt, executionIdOf, type Scenario } from '../histories/scenarios.js';
import { type Activities, FakeActivities, type Journal } from './fake-activities.js';
import { historyText } from './history-text.js';
import { planOf } from './plans.js';

export interface StageOptions {
  readonly address: string;
  readonly namespace: string;
  readonly bundle: string;
  /** 0: every workflow task replays the whole history. */
  readonly maxCachedWorkflows: number;
}

export interface Played {
  readonly id: string;
  /** As the last activity settled it. */
  readonly outcome: string | undefined;
  readonly journal: Journal;
}

const ENDED_WITHIN_MS = 20_000;
const NAMES = [
  'tool',
  'notify',
  'bash',
  'agentTurn',
  'agentOpen',
  'agentTool',
  'openCallGate',
  'agentClose',
  'openGate',
  'expireGate',
  'readGate',
  'prepareChild',
  'cancelChild',
  'evaluate',
  'store',
  'recover',
  'segment',
  'haltSegments',
  'flush',
  'settle',
  'beginCancel',
  'load',
] as const satisfies readonly (keyof Activities)[];

export class ScenarioStage {
  private readonly worlds = new Map<string, FakeActivities>();
  private constructor(
    private readonly client: Client,
    private readonly close: () => Promise<void>,
  ) {}

  /** Starts workers for the fixed task queues, lets `use` play, and ends them. */
  static async with<T>(options: StageOptions, use: (stage: ScenarioStage) => Promise<T>): Promise<T> {
    const { address, namespace, bundle, maxCachedWorkflows } = options;
    await ensureSearchAttributes(address, namespace, () => undefined);
    const [connection, native] = await Promise.all([Connection.connect({ address }), NativeConnection.connect({ address })]);
    const stage = new ScenarioStage(new Client({ connection, namespace }), async () => {
      await native.close();
      await connection.close();
    });
    const common = {
      connection: native,
      namespace,
      activities: stage.activities(),
      maxHeartbeatThrottleInterval: '300ms',
      stickyQueueScheduleToStartTimeout: '1s',
    } as const;
    const workers = await Promise.all([
      Worker.create({ ...common, taskQueue: TASK_QUEUES.core, workflowBundle: { codePath: bundle }, maxCachedWorkflows }),
      Worker.create({ ...common, taskQueue: TASK_QUEUES.agent }),
      Worker.create({ ...common, taskQueue: TASK_QUEUES.shell }),
    ]);
    const running = Promise.all(workers.map((worker) => worker.run()));
    try {
      return await use(stage);
    } finally {
      for (const worker of workers) worker.shutdown();
      await running;
      await stage.close();
    }
  }

  /** Starts the scenario, does to it what it says, and waits for its end. */
  async play(scenario: Scenario): Promise<Played> {
    const id = executionIdOf(scenario);
    const start = startDataOf(id, scenario.name, scenario.steps, scenario.definition, {}, scenario.light);
    const children = Object.fromEntries(
      Object.entries(scenario.children ?? {}).map(([at, steps]) => {
        const childId = childIdAt(scenario, at);
        const [stepId = '', iterationPath = ''] = at.split('@');
        return [
          childId,
          startDataOf(childId, 'child', steps, undefined, {
            depth: 1,
            parent: { executionId: id, stepId, iterationPath, awaited: !stepId.startsWith('free') },
          }),
        ];
      }),
    );
    const fake = new FakeActivities({ replies: {}, ...scenario.world, children, plan: start.plan });
    this.worlds.set(id, fake);
    const handle = await this.client.workflow.start('execution', {
      workflowId: id,
      taskQueue: TASK_QUEUES.core,
      args: [{ kind: 'start', start }],
      workflowTaskTimeout: '5s',
      staticSummary: scenario.name,
    });
    await scenario.drive?.({
      handle,
      journal: fake.journal,
      seen: (event) =>
        until(
          () => fake.journal.events.some((written) => written === event || written.startsWith(event)),
          `${scenario.name}: ${event}`,
          fake.journal,
        ),
      gateId: (stepId, iterationPath = '') => `apr_${id}_${stepId}_${iterationPath}_1`,
      child: (at) => this.client.workflow.getHandle(childIdAt(scenario, at)),
    });
    await this.ended(id, scenario, handle);
    return { id, outcome: fake.journal.outcomes.get(id), journal: fake.journal };
  }

  private async ended(id: string, scenario: Scenario, handle: WorkflowHandle): Promise<void> {
    const handles = [handle, ...Object.keys(scenario.children ?? {}).map((at) => this.client.workflow.getHandle(childIdAt(scenario, at)))];
    for (const deadline = Date.now() + ENDED_WITHIN_MS; ; await sleep(20)) {
      const states = await Promise.all(
        handles.map((each) =>
          each.describe().then(
            ({ status }) => status.name,
            () => 'ABSENT',
          ),
        ),
      );
      if (!states.includes('RUNNING')) return;
      if (Date.now() > deadline) throw new Error(`${scenario.name} (${id}) did not end: ${states.join()}; ${await lastEvents(handle)}`);
    }
  }

  /** Every run of the workflow id's chain, oldest first, as JSON text. */
  async histories(workflowId: string): Promise<readonly string[]> {
    const texts: string[] = [];
    const first = await this.client.workflow.getHandle(workflowId).describe();
    let runId: string | undefined = first.raw.workflowExecutionInfo?.firstRunId ?? first.runId;
    while (runId !== undefined && runId !== '') {
      const history = await this.client.workflow.getHandle(workflowId, runId).fetchHistory();
      texts.push(historyText(history));
      runId = history.events?.at(-1)?.workflowExecutionContinuedAsNewEventAttributes?.newExecutionRunId ?? undefined;
    }
    return texts;
  }

  /** One set for all workers: each call goes to the world of its execution, a child's to its root's. */
  private activities(): Activities {
    const worldOf = (executionId: string | null): Activities => {
      const root = (executionId ?? '').split('--')[0] ?? '';
      const world = this.worlds.get(root);
      if (world === undefined) throw new Error(`no world for ${executionId}`);
      return world.all();
    };
    const call = (name: (typeof NAMES)[number]) => (input: { readonly executionId: string | null }) =>
      worldOf(input.executionId)[name](input as never);
    return Object.fromEntries(NAMES.map((name) => [name, call(name)])) as unknown as Activities;
  }
}

function startDataOf(
  id: string,
  name: string,
  steps: readonly object[],
  definition: object = {},
  meta: Partial<ExecutionMeta> = {},
  light?: true,
): StartData {
  const plan = planOf({ name, steps, ...definition }, { light: light === true });
  return {
    engineVersion: ENGINE_VERSION,
    plan,
    variables: Object.fromEntries(
      Object.entries(plan.variables).flatMap(([key, { default: value }]) => (value === undefined ? [] : [[key, { v: value }]])),
    ),
    execution: {
      id,
      ownerId: 'usr_1',
      workflowId: 'wf_1',
      workflowName: name,
      version: plan.version,
      hash: plan.hash,
      sessionId: 'ses_1',
      triggerType: 'manual',
      depth: 0,
      parent: null,
      ...meta,
    },
  };
}

async function lastEvents(handle: WorkflowHandle): Promise<string> {
  const { events } = JSON.parse(historyToJSON(await handle.fetchHistory())) as {
    readonly events: readonly { readonly eventTime: string; readonly eventType: string }[];
  };
  return events
    .slice(-12)
    .map(({ eventTime, eventType }) => `${eventTime.slice(14, 23)} ${eventType.replace('EVENT_TYPE_', '')}`)
    .join(', ');
}

async function until(holds: () => boolean, what: string, journal: Journal): Promise<void> {
  for (const deadline = Date.now() + 60_000; !holds(); await sleep(10))
    if (Date.now() > deadline) throw new Error(`waited for ${what}; seen: ${journal.events.join(', ')}`);
}
