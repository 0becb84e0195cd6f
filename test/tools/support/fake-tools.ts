/** Tools that only remember that they were called, and an agent's door to them. */
import { z } from 'zod';
import type { Json } from '../../../src/definition/value.js';
import { createAgentTools, type AgentTools, type CallContext } from '../../../src/tools/agent/agent-tools.js';
import type { ToolPolicy } from '../../../src/tools/policy.js';
import { createToolRegistry } from '../../../src/tools/registry.js';
import { defineTool, type Risk, type Tool, type ToolCall, type ToolOf } from '../../../src/tools/tool.js';
import { createToolbox, type ToolSource } from '../../../src/tools/toolbox.js';

type Parameters = { readonly text?: string | undefined };

export const aTool = (id: string, overrides: Partial<ToolOf<Parameters>> = {}): Tool =>
  defineTool<Parameters>({
    id,
    description: `does ${id}`,
    risk: 'low',
    parameters: z.strictObject({ text: z.string().optional() }),
    repeats: 'keyed',
    light: false,
    limitMs: () => 5_000,
    run: async () => null,
    ...overrides,
  });

export interface Made {
  readonly id: string;
  readonly params: Json;
  readonly call: ToolCall;
}

export class AgentUnderTest {
  readonly made: Made[] = [];
  readonly agent: AgentTools;

  constructor(
    tools: readonly [id: string, risk: Risk, answer?: Json][],
    policies: { readonly deployment?: ToolPolicy; readonly own?: ToolPolicy } = {},
    sources: readonly ToolSource[] = [],
  ) {
    const registry = createToolRegistry(
      tools.map(([id, risk, answer]) =>
        aTool(id, {
          risk,
          run: async (params, call) => {
            this.made.push({ id, params: params as Json, call });
            return answer ?? `${id} ran`;
          },
        }),
      ),
    );
    this.agent = createAgentTools({
      toolbox: createToolbox(registry, sources),
      policiesOf: async () => ({ deployment: policies.deployment ?? {}, own: policies.own ?? {} }),
    });
  }
}

export const aContext = (overrides: Partial<CallContext> = {}): CallContext => ({
  idempotencyKey: 'exe_1/ask/call_1',
  signal: new AbortController().signal,
  executionId: 'exe_1',
  sessionId: 'ses_1',
  redact: (text) => text,
  isApproved: false,
  ...overrides,
});
