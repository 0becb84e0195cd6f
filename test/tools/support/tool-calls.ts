/** Calls of tools as a run would make them. */
import type { Json } from '../../../src/definition/value.js';
import type { Tool, ToolCall } from '../../../src/tools/tool.js';

export const aToolCall = (overrides: Partial<ToolCall> = {}): ToolCall => ({
  idempotencyKey: 'exe_1/step',
  signal: new AbortController().signal,
  ownerId: 'usr_ana',
  executionId: 'exe_1',
  sessionId: 'ses_1',
  redact: (text) => text,
  ...overrides,
});

/** Calls a tool of a set by its id. What it answers is the test's to know. */
export const callerOf =
  (tools: readonly Tool[], call: ToolCall = aToolCall()) =>
  async <T extends Json = never>(id: string, params: Json, overrides: Partial<ToolCall> = {}): Promise<T> => {
    const tool = tools.find((one) => one.id === id);
    if (tool === undefined) throw new Error(`no ${id}`);
    return (await tool.prepare(params).run({ ...call, ...overrides })) as T;
  };
