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

export interface ToolFilter {
  readonly provider?: string;
  /** Words that are all in the id or the description. */
  readonly query?: string;
}

export interface ToolRegistry {
  /** Of what is known now. */
  get(id: string): Tool | undefined;
  /** Also a tool of a server that has to be asked for it. @throws StepFault `tool_failed` when that server is away */
  find(id: string): Promise<Tool | undefined>;
  ids(): readonly string[];
  /** In order of id; of one provider when it is named. */
  list(filter?: ToolFilter): readonly ToolDescription[];
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
  const descriptions = ids.map((id) => describeTool(byId.get(id) as Tool));
  return {
    get: (id) => byId.get(id),
    find: async (id) => byId.get(id),
    ids: () => ids,
    list: (filter = {}) => descriptions.filter((tool) => matchesFilter(tool, filter)),
  };
}

export const describeTool = ({ id, provider, action, description, risk, parameters }: Tool): ToolDescription => ({
  id,
  provider,
  action,
  description,
  risk,
  parameters,
});

/** Whether a tool is of the provider and has every word of the query. Pure. */
export function matchesFilter(tool: Pick<ToolDescription, 'id' | 'provider' | 'description'>, { provider, query }: ToolFilter): boolean {
  if (provider !== undefined && tool.provider !== provider) return false;
  const text = `${tool.id} ${tool.description}`.toLowerCase();
  return (query ?? '')
    .toLowerCase()
    .split(/\s+/)
    .every((word) => text.includes(word));
}
