import { z } from 'zod';
import type { ArgumentFault } from '../definition/index.js';
import type { Json, JsonObject } from '../definition/value.js';
import { StepFault } from './step-fault.js';

export type Risk = 'low' | 'medium' | 'high';

/** Where calls of a tool run: `shell` is bound to the host of the run's workspace, `core` is anywhere. */
export type ToolQueue = 'core' | 'shell';

/** What one call of a tool is given. */
export interface ToolCall {
  /** The same for every repetition of the call, whichever attempt it is. */
  readonly idempotencyKey: string;
  /** Aborted on cancel and at the step's time limit: the tool lets go of everything at once. */
  readonly signal: AbortSignal;
  readonly ownerId: string;
  /** Null outside of a run: a conversation, or a direct call. */
  readonly executionId: string | null;
  /** Null for a direct call (HTTP, MCP), which belongs to no session. */
  readonly sessionId: string | null;
  /** Replaces secret values in a text; for tools that cut their output, as a cut may split a secret. */
  readonly redact: (text: string) => string;
}

/** What a tool says of itself, whoever brings it. */
interface Declared {
  /** `provider:action`. */
  readonly id: string;
  readonly description: string;
  readonly risk: Risk;
  /** Whether a call that a crash cut off may be made again: under its key, because it only reads, or not at all. */
  readonly repeats: 'keyed' | 'read_only' | 'no';
  /** Short enough to run inside a segment (durability §6): needs `repeats` other than `no` and a limit of at most 30 s. */
  readonly light: boolean;
  readonly queue: ToolQueue;
}

export interface ToolOf<Parameters> extends Omit<Declared, 'queue'> {
  /** `core` when absent. */
  readonly queue?: ToolQueue;
  readonly parameters: z.ZodType<Parameters>;
  /** The longest that a call with these parameters may take, in ms. */
  limitMs(parameters: Parameters): number;
  /** @throws StepFault with a documented code. */
  run(parameters: Parameters, call: ToolCall): Promise<Json>;
}

export interface PreparedCall {
  readonly limitMs: number;
  run(call: ToolCall): Promise<Json>;
}

/** A tool whose parameters are checked on the way in, as the registry holds it. */
export interface Tool extends Declared {
  readonly provider: string;
  readonly action: string;
  /** JSON Schema of the parameters, as a caller writes them. */
  readonly parameters: JsonObject;
  /** Every fault of arguments, for whoever saves a call of it; absent where the parameters may be others by the time of the call. */
  argumentFaults?(args: Json): readonly ArgumentFault[];
  /** @throws StepFault `tool_failed` with every fault of the arguments in `details.problems`. */
  prepare(args: Json): PreparedCall;
}

/** Ties a tool's schema to its code, so that neither can be called without the other. */
export function defineTool<Parameters>(tool: ToolOf<Parameters>): Tool {
  return {
    ...namesOf(tool.id),
    id: tool.id,
    description: tool.description,
    risk: tool.risk,
    repeats: tool.repeats,
    light: tool.light,
    queue: tool.queue ?? 'core',
    parameters: z.toJSONSchema(tool.parameters, { io: 'input' }) as JsonObject,
    argumentFaults(args) {
      const parsed = tool.parameters.safeParse(args ?? {});
      return parsed.success ? [] : parsed.error.issues.flatMap((issue) => writtenFaults(issue, tool.parameters));
    },
    prepare(args) {
      const parsed = tool.parameters.safeParse(args ?? {});
      if (!parsed.success) throw argumentsFault(tool.id, parsed.error);
      const parameters = parsed.data;
      return { limitMs: tool.limitMs(parameters), run: (call) => tool.run(parameters, call) };
    },
  };
}

/** `provider:action`, split at the first colon. Pure. */
export function namesOf(id: string): { readonly provider: string; readonly action: string } {
  const colon = id.indexOf(':');
  return { provider: id.slice(0, Math.max(0, colon)), action: id.slice(colon + 1) };
}

function writtenFaults(issue: z.core.$ZodIssue, parameters: z.ZodType): ArgumentFault[] {
  const path = issue.path.map((segment) => (typeof segment === 'number' ? segment : String(segment)));
  if (issue.code === 'unrecognized_keys') {
    const known = path.length === 0 && parameters instanceof z.ZodObject ? Object.keys(parameters.shape) : [];
    return issue.keys.map((key) => ({ code: 'unknown_field', path: [...path, key], message: `There is no argument ${key}`, known }));
  }
  const name = ['arguments', ...path].slice(path.length === 0 ? 0 : 1).join('.');
  if (issue.code === 'invalid_type' && issue.message.endsWith('received undefined'))
    return [{ code: 'missing_field', path, message: `${name} is missing` }];
  return [{ code: 'invalid_field', path, message: `${name}: ${issue.message}` }];
}

function argumentsFault(toolId: string, error: z.ZodError): StepFault {
  const problems = error.issues.map((issue) => ({ path: `/${issue.path.map(String).join('/')}`, message: issue.message }));
  const list = problems.map(({ path, message }) => `${path}: ${message}`).join('; ');
  return new StepFault('tool_failed', `Arguments of ${toolId} do not fit: ${list}`, { details: { problems, tool: toolId } });
}
