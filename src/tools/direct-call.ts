/** Tools called by a person or an agent's key, over HTTP or MCP, outside of any run. */
import { toDisplay } from '../definition/value-parts.js';
import type { Json, JsonObject } from '../definition/value.js';
import { hasCode } from '../errors.js';
import { audit } from '../operations/actor.js';
import { authorize } from '../operations/authorize.js';
import type { OperationDeps } from '../operations/deps.js';
import type { Principal } from '../operations/principal.js';
import { isAllowed } from '../operations/role-matrix.js';
import { storeIfLarge } from '../store/values.js';
import { callWithLimit } from './agent/call-with-limit.js';
import { toolError, toToolError, unknownTool, type ToolError } from './agent/tool-error.js';
import { decideTool, type Policies, type PolicyDecision } from './policy.js';
import type { ToolFilter } from './registry.js';
import type { Tool } from './tool.js';
import type { Catalogue, Toolbox } from './toolbox.js';

export interface DirectCall {
  readonly toolId: string;
  readonly params: JsonObject;
  readonly summary: string | undefined;
  /** Told to the tool, so that it can tell a repeat; a new one when absent. */
  readonly idempotencyKey: string;
  readonly signal: AbortSignal;
}

/** Large data is by reference, `{ ref, bytes, sha256, preview }`. */
export type DirectResult = { readonly success: true; readonly data: Json } | { readonly success: false; readonly error: ToolError };

export interface DirectTools {
  /** @throws AppError forbidden */
  list(principal: Principal, filter: ToolFilter): Promise<Catalogue>;
  /** What the principal may call here and now: not what policy denies, nor what needs a run. @throws AppError forbidden */
  listCallable(principal: Principal): Promise<Catalogue>;
  /** Faults of the call are results. @throws AppError forbidden, unavailable; the signal's reason */
  call(principal: Principal, call: DirectCall): Promise<DirectResult>;
}

export interface DirectToolsParts {
  readonly operations: OperationDeps;
  readonly toolbox: Toolbox;
  readonly policiesOf: (ownerId: string) => Promise<Policies>;
}

export function createDirectTools(parts: DirectToolsParts): DirectTools {
  return {
    async list(principal, filter) {
      authorize(principal, 'read');
      return await parts.toolbox.catalogue(filter);
    },
    listCallable: (principal) => listCallable(parts, principal),
    call: (principal, call) => callDirectly(parts, principal, call),
  };
}

async function listCallable({ toolbox, policiesOf }: DirectToolsParts, principal: Principal): Promise<Catalogue> {
  authorize(principal, 'read');
  const [catalogue, policies] = await Promise.all([toolbox.catalogue(), policiesOf(principal.userId)]);
  const isCallable = (tool: Catalogue['tools'][number]): boolean =>
    toolbox.get(tool.id)?.queue === 'core' && decideTool(tool, policies).decision !== 'deny';
  return { ...catalogue, tools: catalogue.tools.filter(isCallable) };
}

async function callDirectly(parts: DirectToolsParts, principal: Principal, call: DirectCall): Promise<DirectResult> {
  authorize(principal, 'run');
  const { operations, toolbox, policiesOf } = parts;
  try {
    const tool = await toolbox.find(call.toolId);
    if (tool === undefined) return failure(unknownTool(call.toolId, toolbox.ids(), toolbox.providers()));
    const refusal = refusalOf(tool, decideTool(tool, await policiesOf(principal.userId)), principal, call);
    if (refusal !== undefined) {
      await told(parts, principal, call, 'tool.refused', refusal.code);
      return failure(refusal);
    }
    // Written down before it is done: what takes effect is never without its entry.
    if (tool.repeats !== 'read_only') await told(parts, principal, call, 'tool.called', null);
    const { idempotencyKey, signal } = call;
    const output = await callWithLimit(tool, call.params, {
      idempotencyKey,
      signal,
      ownerId: principal.userId,
      executionId: null,
      sessionId: null,
      redact: (text) => text,
    });
    return { success: true, data: toDisplay(await storeIfLarge(operations.db, principal.userId, output)) };
  } catch (error) {
    if (call.signal.aborted) throw call.signal.reason;
    if (hasCode(error, 'unavailable')) throw error;
    return failure(toToolError(call.toolId, error));
  }
}

const failure = (error: ToolError): DirectResult => ({ success: false, error });

/**
 * A person who may decide has decided by calling, and says what for. An agent's call cannot wait here: there is no run or
 * conversation that a person would be asked in.
 */
function refusalOf(tool: Tool, { decision, reason }: PolicyDecision, principal: Principal, { summary }: DirectCall): ToolError | undefined {
  if (decision === 'deny') return toolError('tool_denied', `Policy denies ${tool.id}: ${reason}`);
  if (decision === 'allow') return undefined;
  if (!isAllowed(principal, 'decide'))
    return toolError('approval_required', `${tool.id} needs a person's approval: ${reason}`, {
      hint: 'Call it in a run or a conversation, where a person can approve it; or have a person call it with their own key.',
    });
  return (summary ?? '').trim() === ''
    ? toolError('summary_required', `${tool.id} is called with a one-line summary: ${reason}`)
    : undefined;
}

function told(
  { operations }: DirectToolsParts,
  principal: Principal,
  call: DirectCall,
  action: string,
  code: string | null,
): Promise<void> {
  const details = { summary: call.summary?.slice(0, 500) ?? null, ...(code === null ? {} : { code }) };
  return audit(operations, principal, { action, targetType: 'tool', targetId: call.toolId, details });
}
