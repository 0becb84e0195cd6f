/** Steps that an activity carries out: agent_prompt, tool, bash, notify, approval, subworkflow. */
import { parseDuration } from '../duration.js';
import { didYouMean } from '../nearest.js';
import { checkForm, normalizeOutputSchema, type SchemaResult } from '../output-schema.js';
import type { AgentPromptPlan, ApprovalPlan, BashPlan, NotifyPlan, SubworkflowPlan, Template, ToolPlan } from '../plan.js';
import type { ProblemCode } from '../problem.js';
import type { AgentPromptSchema, ApprovalSchema, BashSchema, NotifySchema, SubworkflowSchema, ToolSchema } from '../schema/steps.js';
import type { Lenient } from '../schema/lenient-parse.js';
import type { Json, JsonObject } from '../value.js';
import { compileTemplate, compileText } from './expressions.js';
import { given } from './given.js';
import { quotedTokens } from './shell-quotes.js';
import { NO_TEMPLATE, type StepSource, clamp, compileCommon, msOf } from './step-common.js';
import { checkArguments } from './tool-arguments.js';

/** Fields that an activity renders may read secrets. */
const SECRETS = { secrets: true } as const;
const PROMPT_NAMES = ['prompt', 'content', 'message', 'goal'] as const;

export function compileAgentPrompt(source: StepSource, fields: Lenient<typeof AgentPromptSchema>): AgentPromptPlan {
  const written = PROMPT_NAMES.filter((name) => source.has(name));
  if (written.length === 0) source.compilation.error('missing_field', source.at('prompt'), 'prompt is missing');
  if (written.length > 1)
    source.compilation.error(
      'invalid_field',
      source.at(written[1] as string),
      `${written.join(' and ')} are the same field: write one of them`,
    );
  const prompts = written.map((name) => source.template(name, SECRETS) ?? NO_TEMPLATE);
  for (const [index, tool] of (fields.tools ?? []).entries()) warnOfUnknownTool(tool, source, index);
  return given({
    ...compileCommon(source, fields, false),
    type: 'agent_prompt' as const,
    prompt: prompts[0] ?? NO_TEMPLATE,
    thread: source.template('thread'),
    persona: fields.persona,
    model: fields.model,
    models: fields.models,
    outputSchema:
      fields.outputSchema === undefined
        ? undefined
        : schemaOf('outputSchema', normalizeOutputSchema(fields.outputSchema as JsonObject), 'output_schema_invalid', source),
    tools: fields.tools,
    maxTurns: fields.maxTurns ?? 25,
    maxTokens: fields.maxTokens,
    interrupt: fields.interrupt ?? false,
    awaitTimeoutMs: clamp(fields.await_timeout_ms ?? 300_000, 1_000, 900_000),
  });
}

/** An allow-list may name tools of a server that is not connected now: a warning only. */
function warnOfUnknownTool(tool: string, source: StepSource, index: number): void {
  const { tools } = source.compilation.context;
  if (tools === undefined || tools.has(tool) || tool.endsWith(':*')) return;
  source.compilation.warn('tool_unknown', source.at('tools', index), `There is no tool ${tool}`, {
    suggestion: () => didYouMean(tool, tools),
  });
}

function schemaOf(key: string, result: SchemaResult, code: ProblemCode, source: StepSource): JsonObject | undefined {
  if ('schema' in result) return result.schema;
  for (const fault of result.faults.slice(0, 20))
    source.compilation.error(code, source.at(key, ...fault.path), `${key}: ${fault.message}`, { suggestion: fault.suggestion });
  return undefined;
}

const NO_ARGUMENTS: Template = { k: 'lit', v: {} };

export function compileTool(source: StepSource, fields: Lenient<typeof ToolSchema>): ToolPlan {
  const { tool } = fields;
  if (tool !== undefined) checkTool(tool, source);
  const args = source.template('arguments', SECRETS) ?? NO_ARGUMENTS;
  if (tool !== undefined) checkArguments(tool, args, source);
  return given({
    ...compileCommon(source, fields, false),
    type: 'tool' as const,
    tool: tool ?? '',
    arguments: args,
    onCrash: fields.onCrash,
    light: isLightCall(tool, args, fields.onCrash, source) ? (true as const) : undefined,
  });
}

/** A call of a light tool that may take longer is not light any more (durability §6). */
const LIGHT_LIMIT_MS = 30_000;

function isLightCall(tool: string | undefined, args: Template, onCrash: ToolPlan['onCrash'], source: StepSource): boolean {
  const { lightTools } = source.compilation.context;
  return tool !== undefined && lightTools?.has(tool) === true && onCrash !== 'fail' && isShort(args);
}

/** `timeoutMs` among the arguments is the call's own limit; what is only known at run may be any. */
function isShort(args: Template): boolean {
  if (args.k === 'lit') return isShortLimit((args.v as { readonly timeoutMs?: Json } | null)?.timeoutMs);
  if (args.k !== 'object') return false;
  const limit = args.entries.find(([name]) => name === 'timeoutMs')?.[1];
  return limit === undefined || (limit.k === 'lit' && isShortLimit(limit.v));
}

const isShortLimit = (limit: Json | undefined): boolean => limit === undefined || (typeof limit === 'number' && limit <= LIGHT_LIMIT_MS);

function checkTool(tool: string, source: StepSource): void {
  const { tools } = source.compilation.context;
  if (!/^[^:\s]+:\S+$/.test(tool))
    source.compilation.error('invalid_field', source.at('tool'), 'tool: expected provider:action, such as http:request', {
      suggestion: tool === 'http' ? 'Write http:request' : undefined,
    });
  else if (tools !== undefined && !tools.has(tool))
    source.compilation.error('tool_unknown', source.at('tool'), `There is no tool ${tool}`, { suggestion: () => didYouMean(tool, tools) });
}

export function compileBash(source: StepSource, fields: Lenient<typeof BashSchema>): BashPlan {
  const { command } = fields;
  for (const column of command === undefined ? [] : quotedTokens(command)) {
    source.compilation.warn('shell_interpolation_quoted', source.at('command'), `The token at column ${column} stands inside quotes`, {
      column,
      suggestion: 'Take the quotes away: each token is one quoted word already',
    });
  }
  return given({
    ...compileCommon(source, fields, false),
    type: 'bash' as const,
    command: command === undefined ? [] : compileText(command, source.at('command'), source.compilation, SECRETS),
    cwd: source.template('cwd', SECRETS),
    env: source.template('env', SECRETS),
    timeoutLimitMs: clamp(fields.timeoutMs ?? 120_000, 1_000, 600_000),
    allowFailure: fields.allowFailure ?? false,
    onCrash: fields.onCrash ?? ('fail' as const),
  });
}

const TARGET = /^(?:orchestrator|chat|slack:\S.*|webhook:https?:\/\/.+)$/;

export function compileNotify(source: StepSource, fields: Lenient<typeof NotifySchema>): NotifyPlan {
  if (fields.target !== undefined) checkTarget(fields.target, source, ['target']);
  return given({
    ...compileCommon(source, fields, false),
    type: 'notify' as const,
    content: source.template('content', SECRETS) ?? NO_TEMPLATE,
    target: source.template('target', SECRETS) ?? NO_TEMPLATE,
  });
}

function checkTarget(target: string, source: StepSource, path: readonly (string | number)[]): void {
  if (target.includes('{{') || TARGET.test(target)) return;
  source.compilation.error(
    'invalid_field',
    source.at(...path),
    `${String(path[0])}: expected orchestrator, chat, slack:<channel> or webhook:<url>`,
    { suggestion: didYouMean(target, ['orchestrator', 'chat']) },
  );
}

export function compileApproval(source: StepSource, fields: Lenient<typeof ApprovalSchema>): ApprovalPlan {
  if (Array.isArray(fields.notify)) for (const [index, target] of fields.notify.entries()) checkTarget(target, source, ['notify', index]);
  else if (typeof fields.notify === 'string') checkTarget(fields.notify, source, ['notify']);
  const { escalate } = fields as { escalate?: { after: number | string; to: string[] } };
  return given({
    ...compileCommon(source, fields, true),
    type: 'approval' as const,
    prompt: source.template('prompt'),
    approvers: source.template('approvers'),
    quorum: fields.quorum ?? 1,
    deadlineMs: msOf(fields.timeout) ?? parseDuration('24h') ?? 0,
    onTimeout: fields.onTimeout ?? ('fail' as const),
    onDeny: fields.onDeny ?? ('cancel' as const),
    form: fields.form === undefined ? undefined : schemaOf('form', checkForm(fields.form as JsonObject), 'invalid_field', source),
    notify: source.template('notify'),
    remindMs: ((fields.remind ?? []) as (number | string)[]).map((duration) => msOf(duration) ?? 0),
    escalate: escalate === undefined ? undefined : { afterMs: msOf(escalate.after) ?? 0, to: escalate.to },
  });
}

export function compileSubworkflow(source: StepSource, fields: Lenient<typeof SubworkflowSchema>): SubworkflowPlan {
  const { workflows } = source.compilation.context;
  const { workflow } = fields;
  if (workflow !== undefined && workflows !== undefined && !workflows.has(workflow)) {
    source.compilation.error('subworkflow_not_found', source.at('workflow'), `There is no workflow ${workflow}`, {
      suggestion: () => didYouMean(workflow, workflows),
    });
  }
  const input: Template =
    fields.input === undefined ? { k: 'lit', v: {} } : compileTemplate(fields.input, source.at('input'), source.compilation);
  return given({
    ...compileCommon(source, fields, false),
    type: 'subworkflow' as const,
    workflow: workflow ?? '',
    version: fields.version,
    input,
    await: fields.await ?? true,
  });
}
