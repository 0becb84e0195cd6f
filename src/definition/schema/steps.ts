/** The fifteen step types: the only statement of their fields, defaults and meaning (design §3). */
import { z } from 'zod';
import {
  block,
  duration,
  errorCode,
  expression,
  localName,
  plainText,
  stepId,
  templateJson,
  templateObject,
  templateText,
  variableName,
} from './fields.js';

export const RetrySchema = z.strictObject({
  maxAttempts: z.int().min(1).max(100).default(3).meta({ description: 'Attempts in all, the first one included' }),
  initialInterval: duration('Pause before the second attempt').default('1s'),
  backoff: z.number().min(1).max(100).default(2).meta({ description: 'Each further pause is this many times longer' }),
  maxInterval: duration('No pause is longer').default('60s'),
  on: z.array(errorCode).min(1).optional().meta({ description: 'Error codes that are retried; without it, those marked retryable' }),
});

/** What every step has. `timeout` is described by approval and wait_for_event in their own words. */
export const COMMON = {
  id: stepId.optional(),
  name: z.string().max(200).optional().meta({ description: 'For readers' }),
  description: z.string().optional().meta({ description: 'For readers' }),
  outputVariable: variableName.optional().meta({ description: "Publishes the output as `outputs.<name>` instead of under the step's id" }),
  when: expression('The step runs only if this is true; else it is `skipped`').optional(),
  timeout: duration('Limit of one attempt; then the step fails with `step_timeout`').optional(),
  retry: RetrySchema.optional().meta({ description: 'Makes new attempts after a failure' }),
  onError: z
    .enum(['fail', 'continue'])
    .default('fail')
    .meta({ description: '`continue`: the step stays failed, publishes nothing, and the run goes on' }),
};

const step = <T extends string, S extends z.ZodRawShape>(
  type: T,
  description: string,
  shape: S,
  more: { readonly [key: string]: unknown } = {},
) => z.strictObject({ type: z.literal(type), ...COMMON, ...shape }).meta({ title: type, description, ...more });

const anyOf = (...names: string[]) => ({ anyOf: names.map((name) => ({ required: [name] })) });
const oneOf = (...names: string[]) => ({ oneOf: names.map((name) => ({ required: [name] })) });

export const AgentPromptSchema = step(
  'agent_prompt',
  'Gives a prompt to an agent and waits for its reply. Output: the response, as text, or as the object that `outputSchema` describes.',
  {
    prompt: templateText('What the agent is asked').optional(),
    content: templateText('The same as `prompt`').optional(),
    message: templateText('The same as `prompt`').optional(),
    goal: templateText('The same as `prompt`').optional(),
    thread: templateText(
      'Conversation that the prompt goes on with; a name is reused within the run, `@new` is single-use. Without it: the shared thread `default`',
    ).optional(),
    persona: plainText('Who the agent is').optional(),
    model: plainText('Model of the first choice').optional(),
    models: z.array(plainText('A model')).min(1).optional().meta({ description: 'Models to fail over to, in order' }),
    outputSchema: z.record(z.string(), z.unknown()).optional().meta({
      description:
        'Shape of the reply: a field map `{ name: { type, description, required, enum } }` (each field required unless it says `required: false`), or a JSON Schema',
    }),
    tools: z
      .array(plainText('A tool id'))
      .optional()
      .meta({ description: 'The only tools that the agent may call: ids such as `files:read`, or `files:*`' }),
    maxTurns: z.int().min(1).max(1_000).default(25).meta({ description: 'Model calls at most' }),
    maxTokens: z.int().min(1).optional().meta({ description: 'Budget of the step' }),
    interrupt: z.boolean().default(false).meta({ description: 'Accepted; has no effect, as turns of a thread never overlap' }),
    await_timeout_ms: z
      .number()
      .default(300_000)
      .meta({ description: 'Limit of the whole step in milliseconds, clamped to 1 000 to 900 000' }),
  },
  anyOf('prompt', 'content', 'message', 'goal'),
);

export const ToolSchema = step('tool', 'Calls a registered tool. Output: its result.', {
  tool: plainText('`provider:action`, such as `http:request`').meta({ pattern: '^[^:\\s]+:.+$' }),
  arguments: templateJson('What the tool is given').optional(),
  onCrash: z.enum(['repeat', 'fail']).optional().meta({
    description:
      'When a crash cut the call off: run it again under the same idempotency key, or fail with `outcome_unknown`. Without it: as the tool declares',
  }),
});

export const BashSchema = step(
  'bash',
  'Runs a shell command. Output: `{ exitCode, stdout, stderr, durationMs }`. A token becomes one quoted word: its value never is shell text.',
  {
    command: templateText('Shell text; write tokens without quotes around them'),
    cwd: templateText('Directory inside the workspace').optional(),
    env: templateObject('Environment variables').optional(),
    timeoutMs: z.number().default(120_000).meta({ description: 'Limit in milliseconds, clamped to 1 000 to 600 000; then `bash_timeout`' }),
    allowFailure: z.boolean().default(false).meta({ description: 'A non-zero exit code is no failure' }),
    onCrash: z
      .enum(['repeat', 'fail'])
      .default('fail')
      .meta({ description: 'When a crash cut the command off: run it again, or fail with `outcome_unknown`' }),
  },
);

export const NotifySchema = step(
  'notify',
  'Sends a message. Output: `{ target, delivered, id }`; delivered means accepted by the receiver.',
  {
    content: templateText('The message'),
    target: templateText('`orchestrator`, `chat`, `slack:<channel>` or `webhook:<url>`'),
  },
);

const textOrList = (description: string) => z.union([z.string(), z.array(z.string()).min(1)]).meta({ description, 'x-kind': 'template' });

export const ApprovalSchema = step('approval', 'Waits until people decide. Output: `{ decision, decidedBy, decidedAt, reason, answer }`.', {
  prompt: templateText('What is to be decided').optional(),
  approvers: textOrList("Users or groups who may decide; without it any member of the owner's team").optional(),
  quorum: z.int().min(1).max(100).default(1).meta({ description: 'How many people have to approve; one denial settles' }),
  timeout: duration('Deadline').default('24h'),
  onTimeout: z
    .enum(['fail', 'deny'])
    .default('fail')
    .meta({ description: 'At the deadline: fail with `approval_expired`, or take it as denied' }),
  onDeny: z
    .enum(['cancel', 'fail', 'continue'])
    .default('cancel')
    .meta({ description: 'When denied: cancel the run, fail with `approval_denied`, or go on with decision `denied`' }),
  form: z.record(z.string(), z.unknown()).optional().meta({ description: 'JSON Schema of the answer' }),
  notify: textOrList('Targets told that a decision is needed').optional(),
  remind: z.array(duration('After so long')).max(20).optional().meta({ description: 'Reminders, counted from the opening' }),
  escalate: z
    .strictObject({
      after: duration('After so long'),
      to: z.array(z.string().min(1)).min(1).meta({ description: 'Users or groups who may then decide, too' }),
    })
    .optional()
    .meta({ description: 'Asks others as well when nobody decides' }),
});

export const ConditionalSchema = step('conditional', 'Runs one of two branches. Output: `{ condition, branch }`.', {
  condition: expression('Decides'),
  // oxlint-disable-next-line unicorn/no-thenable -- the word of the language; never awaited
  then: block.meta({ description: 'Runs when the condition is true' }),
  else: block.optional().meta({ description: 'Runs when it is not' }),
});

export const CaseSchema = z.strictObject({
  when: expression('Condition of this case'),
  steps: block.meta({ description: 'Run when it is the first that is true' }),
});
export const SwitchSchema = step('switch', 'Runs the first case whose condition is true. Output: `{ case }`.', {
  cases: z.array(CaseSchema).min(1).meta({ description: 'Tried in this order' }),
  default: block.optional().meta({ description: 'Runs when no case does' }),
});

export const LoopSchema = step(
  'loop',
  'Runs its steps for each element of a list, or as long as a condition holds. Output: `{ iterations, failed, results }`, results in input order.',
  {
    over: z
      .union([z.string(), z.array(z.unknown())])
      .optional()
      .meta({ description: 'A path or expression that gives a list, or the list itself', 'x-kind': 'expression' }),
    while: expression('Asked before each pass').optional(),
    until: expression('Asked after each pass; true ends the loop').optional(),
    itemVar: localName('Name of the element').default('item'),
    indexVar: localName('Name of its position, from 0').default('index'),
    steps: block.meta({ description: 'Run in each pass' }),
    concurrency: z.int().min(1).max(50).default(1).meta({ description: 'Passes at once' }),
    maxIterations: z.int().min(1).max(1_000_000).default(10_000).meta({ description: 'More passes fail with `loop_limit_exceeded`' }),
    onItemError: z.enum(['fail', 'continue']).default('fail').meta({ description: '`continue`: a failed pass is recorded in the results' }),
    collect: expression('Result of a pass; without it the output of its last step').optional(),
  },
  oneOf('over', 'while'),
);

export const BranchSchema = z.strictObject({
  id: stepId.optional().meta({ description: 'Name in the output. Filled in as `branch_<n>` when missing' }),
  steps: block.meta({ description: 'Run beside the other branches' }),
});
export const ParallelSchema = step(
  'parallel',
  'Runs branches at the same time. Each sees the outputs as they were; what they publish merges in branch order. Output: `{ branches: { id: status } }`.',
  {
    branches: z.array(BranchSchema).min(1).max(200).optional().meta({ description: 'The branches' }),
    steps: block.optional().meta({ description: 'Instead of `branches`: each step is a branch, named by its id' }),
    wait: z
      .union([z.enum(['all', 'any']), z.int().min(1), z.string().regex(/^[1-9]\d{0,2}$/)])
      .default('all')
      .meta({ description: 'How many successes complete it; the rest is cancelled' }),
    onBranchError: z
      .enum(['fail', 'continue'])
      .default('fail')
      .meta({ description: 'With `wait: all`: a failed branch fails the step and cancels the others, or is recorded' }),
  },
  oneOf('branches', 'steps'),
);

export const CatchSchema = z.strictObject({
  codes: z.array(errorCode).min(1).default(['*']).meta({ description: 'Error codes that this handler takes' }),
  as: localName('Name of the error in the handler').optional(),
  steps: block.meta({ description: 'The handler' }),
});
export const TrySchema = step(
  'try',
  'Runs steps, handles their failure, and cleans up in any case, also after a cancel. Output: that of the last step that ran.',
  {
    steps: block.meta({ description: 'What is tried' }),
    catch: z.array(CatchSchema).optional().meta({ description: 'The first handler that takes the code runs' }),
    finally: block.optional().meta({ description: 'Runs in any case' }),
  },
);

export const SetSchema = step('set', 'Assigns variables. All values see the state before the step. Output: the values.', {
  values: z.record(variableName, z.unknown()).meta({ description: 'Name to value; names need no declaration', 'x-kind': 'template' }),
});

export const WaitSchema = step(
  'wait',
  'Waits, durably. Output: `{ until }`.',
  {
    duration: z.union([z.number(), z.string()]).optional().meta({ description: 'How long', 'x-kind': 'template' }),
    until: z
      .union([z.number(), z.string()])
      .optional()
      .meta({ description: 'Until which instant (ISO text or milliseconds); one in the past is over at once', 'x-kind': 'template' }),
  },
  oneOf('duration', 'until'),
);

export const WaitForEventSchema = step('wait_for_event', 'Waits for an event from outside; one sent early is kept. Output: its payload.', {
  event: templateText('Name of the event'),
  match: expression('Condition on `event.payload`; other events stay for others').optional(),
  timeout: duration('Deadline; then `event_timeout`').optional(),
});

export const SubworkflowSchema = step(
  'subworkflow',
  'Runs another workflow, or itself. Output: that of the child; with `await: false` `{ executionId }`.',
  {
    workflow: plainText('Id or slug'),
    version: plainText('Version or hash; without it the current one when the step starts').optional(),
    input: z
      .union([z.string(), z.record(z.string(), z.unknown())])
      .optional()
      .meta({ description: 'Variables of the child', 'x-kind': 'template' }),
    await: z.boolean().default(true).meta({ description: 'Wait for its end' }),
  },
);

export const StopSchema = step('stop', 'Ends the run. Nothing catches it; `finally` blocks run.', {
  outcome: z.enum(['completed', 'failed', 'cancelled']).meta({ description: 'How the run ends' }),
  message: templateText('Why').optional(),
  output: templateJson('Result of the run').optional(),
});

/** By type, in the order of the documentation. */
export const STEP_SCHEMAS = {
  agent_prompt: AgentPromptSchema,
  tool: ToolSchema,
  bash: BashSchema,
  notify: NotifySchema,
  approval: ApprovalSchema,
  conditional: ConditionalSchema,
  switch: SwitchSchema,
  loop: LoopSchema,
  parallel: ParallelSchema,
  try: TrySchema,
  set: SetSchema,
  wait: WaitSchema,
  wait_for_event: WaitForEventSchema,
  subworkflow: SubworkflowSchema,
  stop: StopSchema,
};

export type StepTypeName = keyof typeof STEP_SCHEMAS;
export const STEP_TYPES = Object.keys(STEP_SCHEMAS) as readonly StepTypeName[];
export const isStepType = (type: unknown): type is StepTypeName => typeof type === 'string' && Object.hasOwn(STEP_SCHEMAS, type);

export const StepSchema = z
  .discriminatedUnion('type', Object.values(STEP_SCHEMAS) as unknown as [typeof SetSchema, ...(typeof SetSchema)[]])
  .meta({ title: 'Step', description: 'One step; `type` says which' });
