/** Every tool there is: the built-in ones, and those of MCP servers, which come and go. */
import { describeTool, matchesFilter, type ToolDescription, type ToolFilter, type ToolRegistry } from './registry.js';
import type { Tool } from './tool.js';

/** A set of tools that another process holds. */
export interface ToolSource {
  /** What stands before the colon in the ids of its tools. */
  readonly provider: string;
  /** What was last heard of it; empty before the first time. */
  known(): readonly Tool[];
  /** Asks, unless it was asked just now. @throws StepFault `tool_failed`, retryable, when it is away */
  tools(): Promise<readonly Tool[]>;
  close(): Promise<void>;
}

/** What there is to call, and whose tools are missing because their server is away. */
export interface Catalogue {
  readonly tools: readonly ToolDescription[];
  readonly unavailable: readonly { readonly provider: string; readonly reason: string }[];
}

export interface Toolbox extends ToolRegistry {
  catalogue(filter?: ToolFilter): Promise<Catalogue>;
  /** The ids that definitions are checked by; `<server>:*` for a server that has not been heard of yet. */
  checkedIds(): readonly string[];
  /** Names of providers, those of servers that are away too. */
  providers(): readonly string[];
  close(): Promise<void>;
}

/** `get`, `ids` and `list` answer from what is known now; `find` and `catalogue` ask the servers. */
export function createToolbox(builtIn: ToolRegistry, sources: readonly ToolSource[] = []): Toolbox {
  const known = (): readonly Tool[] => sources.flatMap((source) => source.known());
  const providers = [
    ...new Set([...builtIn.list().map(({ provider }) => provider), ...sources.map(({ provider }) => provider)]),
  ].toSorted();
  return {
    get: (id) => builtIn.get(id) ?? known().find((tool) => tool.id === id),
    ids: () => [...builtIn.ids(), ...known().map(({ id }) => id)].toSorted(),
    list: (filter = {}) => inOrder([...builtIn.list(filter), ...described(known(), filter)]),
    async find(id) {
      const here = builtIn.get(id);
      if (here !== undefined) return here;
      const source = sources.find(({ provider }) => id.startsWith(`${provider}:`));
      return (await source?.tools())?.find((tool) => tool.id === id);
    },
    async catalogue(filter = {}) {
      const asked = sources.filter(({ provider }) => filter.provider === undefined || provider === filter.provider);
      const answers = await Promise.allSettled(asked.map((source) => source.tools()));
      return {
        tools: inOrder([
          ...builtIn.list(filter),
          ...answers.flatMap((answer) => (answer.status === 'fulfilled' ? described(answer.value, filter) : [])),
        ]),
        unavailable: answers.flatMap((answer, index) =>
          answer.status === 'fulfilled' ? [] : [{ provider: asked[index]?.provider ?? '', reason: reasonOf(answer.reason) }],
        ),
      };
    },
    checkedIds: () => [
      ...builtIn.ids(),
      ...sources.flatMap((source) => (source.known().length === 0 ? [`${source.provider}:*`] : source.known().map(({ id }) => id))),
    ],
    providers: () => providers,
    close: async () => void (await Promise.allSettled(sources.map((source) => source.close()))),
  };
}

const described = (tools: readonly Tool[], filter: ToolFilter): ToolDescription[] =>
  tools.map(describeTool).filter((tool) => matchesFilter(tool, filter));

const inOrder = (tools: readonly ToolDescription[]): ToolDescription[] =>
  tools.toSorted((a, b) => (a.id < b.id ? -1 : Number(a.id > b.id)));

const reasonOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
