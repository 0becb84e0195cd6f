import { z } from 'zod';
import type { JsonObject } from '../definition/value.js';
import type { Risk, Tool } from './tool.js';

/** A tool as `GET /api/tools` and `list_tools` show it. */
export interface ToolDescription {
  readonly id: string;
  readonly provider: string;
  readonly action: string;
  readonly description: string;
  readonly risk: Risk;
  readonly parameters: JsonObject;
}

export interface ToolRegistry {
  get(id: string): Tool | undefined;
  ids(): readonly string[];
  /** In order of id; of one provider when it is named. */
  list(filter?: { readonly provider?: string; readonly query?: string }): readonly ToolDescription[];
}

/** @throws Error when two tools share an id or an id is not `provider:action`: a fault of the build, seen at start. */
export function createToolRegistry(tools: readonly Tool[]): ToolRegistry {
  const byId = new Map<string, Tool>();
  for (const tool of tools) {
    if (!/^[a-z][a-z0-9_-]*:[a-z][a-z0-9_-]*$/.test(tool.id)) throw new Error(`Tool id ${tool.id} is not provider:action`);
    if (byId.has(tool.id)) throw new Error(`Tool ${tool.id} is registered twice`);
    byId.set(tool.id, tool);
  }
  const ids = [...byId.keys()].toSorted();
  const descriptions = ids.map((id) => describe(byId.get(id) as Tool));
  return {
    get: (id) => byId.get(id),
    ids: () => ids,
    list: ({ provider, query } = {}) =>
      descriptions.filter((tool) => (provider === undefined || tool.provider === provider) && matches(tool, query)),
  };
}

function describe(tool: Tool): ToolDescription {
  const parameters = z.toJSONSchema(tool.schema, { io: 'input' }) as JsonObject;
  return { id: tool.id, provider: tool.provider, action: tool.action, description: tool.description, risk: tool.risk, parameters };
}

function matches(tool: ToolDescription, query: string | undefined): boolean {
  if (query === undefined) return true;
  return `${tool.id} ${tool.description}`.toLowerCase().includes(query.toLowerCase());
}
