import type { Tool as McpTool } from '@modelcontextprotocol/sdk/types.js';
import type { Json, JsonObject } from '../../definition/value.js';
import { StepFault } from '../step-fault.js';
import type { Risk, Tool, ToolCall } from '../tool.js';

const NAME = /^[A-Za-z0-9_.-]{1,128}$/;
const MAX_DESCRIPTION = 1_000;
const MAX_SCHEMA = 16_384;

/** How a server's tool is called: by its own name, with whatever it takes. */
export type CallMcp = (toolId: string, name: string, args: JsonObject, call: ToolCall) => Promise<Json>;

/**
 * A server's tools as ours, `<server>:<tool>`. What it says of itself counts, as the operator has chosen the server: read-only ones
 * are of low risk and may repeat, idempotent ones may repeat, all others are of medium risk and may not. None is light. Pure.
 */
export function toTools(server: string, tools: readonly McpTool[], limitMs: number, callMcp: CallMcp): readonly Tool[] {
  const seen = new Set<string>();
  const usable = tools.filter(({ name }) => NAME.test(name) && !seen.has(name) && seen.add(name));
  return usable.map((tool) => toTool(server, tool, limitMs, callMcp));
}

function toTool(server: string, tool: McpTool, limitMs: number, callMcp: CallMcp): Tool {
  const id = `${server}:${tool.name}`;
  return {
    id,
    provider: server,
    action: tool.name,
    description: (tool.description ?? tool.title ?? tool.name).slice(0, MAX_DESCRIPTION),
    ...claims(tool),
    light: false,
    queue: 'core',
    parameters: parametersOf(tool),
    prepare(args) {
      const given = args ?? {};
      if (typeof given !== 'object' || Array.isArray(given))
        throw new StepFault('tool_failed', `Arguments of ${id} do not fit: expected an object`);
      return { limitMs, run: (call) => callMcp(id, tool.name, given as JsonObject, call) };
    },
  };
}

function claims({ annotations }: McpTool): { readonly risk: Risk; readonly repeats: Tool['repeats'] } {
  if (annotations?.readOnlyHint === true) return { risk: 'low', repeats: 'read_only' };
  return { risk: 'medium', repeats: annotations?.idempotentHint === true ? 'keyed' : 'no' };
}

function parametersOf({ inputSchema }: McpTool): JsonObject {
  return JSON.stringify(inputSchema).length > MAX_SCHEMA ? { type: 'object' } : (inputSchema as JsonObject);
}
