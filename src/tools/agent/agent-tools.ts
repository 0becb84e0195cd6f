/**
 * What an agent may do with tools. `plan` says what becomes of a model's call before anything runs: it runs, it waits for a person,
 * it is refused. `run` does it, and looks again: nothing outside the allow-list, denied or unapproved runs, whoever calls.
 */
import type { Json } from '../../definition/value.js';
import { hasCode } from '../../errors.js';
import { type Capable, isAllowed } from '../../operations/role-matrix.js';
import { decideTool, type Policies, type PolicyDecision } from '../policy.js';
import type { Tool, ToolQueue } from '../tool.js';
import type { Toolbox } from '../toolbox.js';
import { allowList } from './allow-list.js';
import { callWithLimit } from './call-with-limit.js';
import { listTools } from './list-tools.js';
import { LIST_TOOLS, modelTools, type ModelTool } from './model-tools.js';
import { readCall, type ModelCall, type ToolRequest } from './read-call.js';
import { toolError, toToolError, unknownTool, type ToolError } from './tool-error.js';

/** For whom, and within what. */
export interface AgentScope {
  readonly ownerId: string;
  /** The step's `tools`; undefined: every tool. */
  readonly allow: readonly string[] | undefined;
  /** Whose rights bound the calls, as they are now: who talks to the agent. Null: nobody's any more; absent: a run's, which its owner has started. */
  readonly as?: Capable | null;
}

export type PlannedCall =
  | ({ readonly kind: 'run' } & ToolRequest & {
        /** Task queue of the activity that makes the call. */
        readonly queue: ToolQueue;
        /** Whether a call that a crash cut off may be made again. */
        readonly mayRepeat: boolean;
        /** Longest time that the call may take, in ms. */
        readonly limitMs: number;
        readonly needsApproval: boolean;
        /** Why policy says so, for the card of the approval. */
        readonly reason: string;
      })
  | ({ readonly kind: 'refused' } & ToolRequest & { readonly error: ToolError })
  | { readonly kind: 'question'; readonly question: string };

export type ToolResult = { readonly ok: true; readonly output: Json } | { readonly ok: false; readonly error: ToolError };

/** What a call is made with. */
export interface CallContext {
  /** One for each call of the model, the same for every repetition of it. */
  readonly idempotencyKey: string;
  readonly signal: AbortSignal;
  readonly executionId: string | null;
  readonly sessionId: string | null;
  readonly redact: (text: string) => string;
  /** A person has approved this very call. */
  readonly isApproved: boolean;
}

export interface AgentTools {
  /** Pure. */
  definitions(allow: readonly string[] | undefined): readonly ModelTool[];
  /** Reads rows (the owner's policy) and may ask an MCP server for its tools; runs nothing. */
  plan(call: ModelCall, scope: AgentScope): Promise<PlannedCall>;
  /**
   * Makes the call. Faults of the tool are results. @throws the signal's reason when it aborts; AppError `unavailable` when the
   * database is away (a fault of the platform, to be tried again)
   */
  run(request: ToolRequest, scope: AgentScope, context: CallContext): Promise<ToolResult>;
}

export interface AgentToolsParts {
  readonly toolbox: Toolbox;
  readonly policiesOf: (ownerId: string) => Promise<Policies>;
}

export function createAgentTools(parts: AgentToolsParts): AgentTools {
  return {
    definitions: modelTools,
    plan: (call, scope) => planCall(parts, call, scope),
    run: (request, scope, context) => runCall(parts, request, scope, context),
  };
}

async function planCall(parts: AgentToolsParts, call: ModelCall, scope: AgentScope): Promise<PlannedCall> {
  const read = readCall(call, parts.toolbox.ids());
  if (read.kind === 'question') return read;
  if (read.kind === 'malformed') return refused(read, read.error);
  if (read.toolId === LIST_TOOLS) {
    if (allowList(scope.allow).isEmpty) return refused(read, outside(LIST_TOOLS));
    return { ...request(read), kind: 'run', queue: 'core', mayRepeat: true, limitMs: LIST_LIMIT_MS, needsApproval: false, reason: '' };
  }
  const found = await findAllowed(parts, read.toolId, scope);
  if ('error' in found) return refused(read, found.error);
  return plannedOf(found, read);
}

const LIST_LIMIT_MS = 30_000;

function plannedOf({ tool, policy }: Allowed, read: ToolRequest): PlannedCall {
  if (policy.decision === 'approval' && read.summary === null)
    return refused(read, toolError('summary_required', `A person has to approve ${tool.id}, and needs a summary of the call`));
  try {
    const { limitMs } = tool.prepare(read.params);
    return {
      ...request(read),
      kind: 'run',
      queue: tool.queue,
      mayRepeat: tool.repeats !== 'no',
      limitMs,
      needsApproval: policy.decision === 'approval',
      reason: policy.reason,
    };
  } catch (error) {
    return refused(read, toToolError(tool.id, error));
  }
}

const request = ({ toolId, params, summary }: ToolRequest): ToolRequest => ({ toolId, params, summary });
const refused = (read: ToolRequest, error: ToolError): PlannedCall => ({ ...request(read), kind: 'refused', error });

interface Allowed {
  readonly tool: Tool;
  readonly policy: PolicyDecision;
}

/** The tool, when it is there, within the allow-list and not denied; in this order, so that a model learns of nothing beyond its list. */
async function findAllowed(
  { toolbox, policiesOf }: AgentToolsParts,
  toolId: string,
  { ownerId, allow, as }: AgentScope,
): Promise<Allowed | { readonly error: ToolError }> {
  const list = allowList(allow);
  if (as !== undefined && (as === null || !isAllowed(as, 'run'))) return { error: beyond(toolId, as) };
  if (!list.permits(toolId)) return { error: toolbox.get(toolId) === undefined ? unknown(toolbox, toolId, allow) : outside(toolId, allow) };
  let tool: Tool | undefined;
  try {
    tool = await toolbox.find(toolId);
  } catch (error) {
    return { error: toToolError(toolId, error) };
  }
  if (tool === undefined) return { error: unknown(toolbox, toolId, allow) };
  const policy = decideTool(tool, await policiesOf(ownerId));
  if (policy.decision === 'deny') return { error: toolError('tool_denied', `Policy denies ${toolId}: ${policy.reason}`) };
  return { tool, policy };
}

/** As `POST /api/tools/call` would refuse it. */
const beyond = (toolId: string, as: Capable | null): ToolError =>
  toolError(
    'tool_denied',
    as === null ? `Who asked for ${toolId} has no access any more` : `Who asked for ${toolId} may not run tools (${as.role})`,
    { hint: 'Say in your answer what you could not do.' },
  );

function outside(toolId: string, allow: readonly string[] = []): ToolError {
  const may = allow.length === 0 ? 'This step may call no tool.' : `This step may call: ${allow.slice(0, 20).join(', ')}.`;
  return toolError('tool_denied', `${toolId} is not among the tools of this step`, { hint: may });
}

function unknown(toolbox: Toolbox, toolId: string, allow: readonly string[] | undefined): ToolError {
  const list = allowList(allow);
  return unknownTool(
    toolId,
    toolbox.ids().filter((id) => list.permits(id)),
    toolbox
      .providers()
      .filter((provider) => allow === undefined || toolbox.ids().some((id) => id.startsWith(`${provider}:`) && list.permits(id))),
  );
}

async function runCall(parts: AgentToolsParts, call: ToolRequest, scope: AgentScope, context: CallContext): Promise<ToolResult> {
  const { signal } = context;
  signal.throwIfAborted();
  try {
    if (call.toolId === LIST_TOOLS) return await runList(parts, call, scope);
    const found = await findAllowed(parts, call.toolId, scope);
    if ('error' in found) return { ok: false, error: found.error };
    if (found.policy.decision === 'approval' && !context.isApproved)
      return { ok: false, error: toolError('approval_required', `${call.toolId} waits for a person: ${found.policy.reason}`) };
    const output = await callWithLimit(found.tool, call.params, { ...context, ownerId: scope.ownerId });
    return { ok: true, output };
  } catch (error) {
    if (signal.aborted) throw signal.reason;
    if (hasCode(error, 'unavailable')) throw error;
    return { ok: false, error: toToolError(call.toolId, error) };
  }
}

async function runList({ toolbox, policiesOf }: AgentToolsParts, call: ToolRequest, { ownerId, allow }: AgentScope): Promise<ToolResult> {
  const list = allowList(allow);
  const policies = await policiesOf(ownerId);
  const output = await listTools(toolbox, call.params, (tool) => list.permits(tool.id) && decideTool(tool, policies).decision !== 'deny');
  return { ok: true, output };
}
