/** What the demo model says. Pure: the same request gets the same reply. */
import { exampleOfSchema } from './example-of-schema.js';

export interface DemoRequest {
  readonly model?: unknown;
  readonly stream?: unknown;
  readonly system?: unknown;
  readonly messages?: unknown;
}

export const DEMO_LABEL = '[demo model]';

/** Prompts that ask for JSON by a schema get a value that fits it; any other gets a labelled note about itself. */
export function demoReply(request: DemoRequest): string {
  const prompt = lastUserText(request);
  const schema = schemaIn(prompt);
  if (schema !== undefined)
    return `${DEMO_LABEL} No model key is configured; this value only fits the schema.\n\n\`\`\`json\n${JSON.stringify(exampleOfSchema(schema), null, 2)}\n\`\`\``;
  const start = prompt.replace(/\s+/g, ' ').trim();
  const excerpt = start.length > 160 ? `${start.slice(0, 160)}…` : start;
  return `${DEMO_LABEL} No model key is configured, so this is a built-in reply. Set ANTHROPIC_API_KEY to talk to a real model. You wrote ${prompt.length} characters: “${excerpt}”`;
}

/** About four characters a token, as the real protocol reports some number too. */
export const estimatedTokens = (text: string): number => Math.max(1, Math.ceil(text.length / 4));

/** All text of the request, for the count of its tokens. */
export function textOf(request: DemoRequest): string {
  const messages = Array.isArray(request.messages) ? (request.messages as { content?: unknown }[]) : [];
  return [contentText(request.system), ...messages.map((message) => contentText(message.content))].join('\n');
}

function lastUserText(request: DemoRequest): string {
  const messages = Array.isArray(request.messages) ? (request.messages as { role?: unknown; content?: unknown }[]) : [];
  return contentText(messages.findLast((message) => message.role === 'user')?.content);
}

function contentText(content: unknown): string {
  if (typeof content === 'string') return content;
  if (!Array.isArray(content)) return '';
  return (content as { type?: unknown; text?: unknown }[])
    .filter((block) => block.type === 'text')
    .map((block) => String(block.text))
    .join('\n');
}

/** The last fenced JSON after the words "JSON Schema". */
function schemaIn(prompt: string): unknown {
  const from = prompt.lastIndexOf('JSON Schema');
  if (from < 0) return undefined;
  const fenced = /```(?:json)?\s*\n([\s\S]*?)\n```/.exec(prompt.slice(from));
  try {
    return fenced?.[1] === undefined ? undefined : (JSON.parse(fenced[1]) as unknown);
  } catch {
    return undefined;
  }
}
