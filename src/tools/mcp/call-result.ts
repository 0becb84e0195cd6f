import type { CallToolResult } from '@modelcontextprotocol/sdk/types.js';
import type { Json } from '../../definition/value.js';
import { StepFault } from '../step-fault.js';

const MAX_MESSAGE = 2_000;

/** What a call gave: structured content when there is any, else its text, else its blocks. Pure. @throws StepFault `tool_failed` when the server says that it failed */
export function toOutput(toolId: string, result: CallToolResult): Json {
  const { content, structuredContent, isError } = result;
  const texts = content.map((block) => (block.type === 'text' ? block.text : undefined));
  const text = texts.filter((one) => one !== undefined).join('\n');
  if (isError === true)
    throw new StepFault('tool_failed', `${toolId}: ${text === '' ? 'failed without a reason' : text.slice(0, MAX_MESSAGE)}`);
  if (structuredContent !== undefined) return structuredContent as Json;
  return texts.includes(undefined) ? (content as unknown as Json) : text;
}
