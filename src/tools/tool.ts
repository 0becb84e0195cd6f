import type { z } from 'zod';
import type { Json } from '../definition/value.js';
import { StepFault } from './step-fault.js';

export type Risk = 'low' | 'medium' | 'high';

/** What one call of a tool is given. */
export interface ToolCall {
  /** The same for every repetition of the call, whichever attempt it is. */
  readonly idempotencyKey: string;
  /** Aborted on cancel and at the step's time limit: the tool lets go of everything at once. */
  readonly signal: AbortSignal;
  readonly ownerId: string;
  readonly executionId: string;
  readonly sessionId: string;
  /** Replaces secret values in a text; for tools that cut their output, as a cut may split a secret. */
  readonly redact: (text: string) => string;
}

export interface ToolOf<Parameters> {
  /** `provider:action`. */
  readonly id: string;
  readonly description: string;
  readonly risk: Risk;
  readonly parameters: z.ZodType<Parameters>;
  /** Whether a call that a crash cut off may be made again: under its key, because it only reads, or not at all. */
  readonly repeats: 'keyed' | 'read_only' | 'no';
  /** Short enough to run inside a segment (durability §6): needs `repeats` other than `no` and a limit of at most 30 s. */
  readonly light: boolean;
  /** The longest that a call with these parameters may take, in ms. */
  limitMs(parameters: Parameters): number;
  /** @throws StepFault with a documented code. */
  run(parameters: Parameters, call: ToolCall): Promise<Json>;
}

/** A tool whose parameters are checked on the way in, as the registry holds it. */
export interface Tool {
  readonly id: string;
  readonly provider: string;
  readonly action: string;
  readonly description: string;
  readonly risk: Risk;
  readonly repeats: 'keyed' | 'read_only' | 'no';
  readonly light: boolean;
  readonly schema: z.ZodType;
  /** @throws StepFault `tool_failed` with every fault of the arguments in `details.problems`. */
  prepare(args: Json): { readonly limitMs: number; run(call: ToolCall): Promise<Json> };
}

/** Ties a tool's schema to its code, so that neither can be called without the other. */
export function defineTool<Parameters>(tool: ToolOf<Parameters>): Tool {
  const colon = tool.id.indexOf(':');
  return {
    id: tool.id,
    provider: tool.id.slice(0, colon),
    action: tool.id.slice(colon + 1),
    description: tool.description,
    risk: tool.risk,
    repeats: tool.repeats,
    light: tool.light,
    schema: tool.parameters,
    prepare(args) {
      const parsed = tool.parameters.safeParse(args ?? {});
      if (!parsed.success) throw argumentsFault(tool.id, parsed.error);
      const parameters = parsed.data;
      return { limitMs: tool.limitMs(parameters), run: (call) => tool.run(parameters, call) };
    },
  };
}

function argumentsFault(toolId: string, error: z.ZodError): StepFault {
  const problems = error.issues.map((issue) => ({ path: `/${issue.path.map(String).join('/')}`, message: issue.message }));
  const list = problems.map(({ path, message }) => `${path}: ${message}`).join('; ');
  return new StepFault('tool_failed', `Arguments of ${toolId} do not fit: ${list}`, { details: { problems, tool: toolId } });
}
