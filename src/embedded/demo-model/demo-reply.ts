/** What the demo model says and calls. Pure: the same request gets the same reply. */
import { exampleOfSchema } from './example-of-schema.js';

export interface DemoRequest {
  readonly model?: unknown;
  readonly stream?: unknown;
  readonly system?: unknown;
  readonly messages?: unknown;
  readonly tools?: unknown;
}

export interface DemoReply {
  readonly text: string;
  readonly toolCalls: readonly DemoCall[];
}
export interface DemoCall {
  readonly name: string;
  readonly input: { readonly [field: string]: unknown };
}

export const DEMO_LABEL = '[demo model]';

/**
 * Every reply is labelled. Prompts that ask for JSON by a schema get a value that fits it; prompts that name a tool, ask what tools there are or
 * ask to fetch an address get that call, then a note about its result; any other gets a note about itself.
 */
export function demoReply(request: DemoRequest): DemoReply {
  const prompt = lastPrompt(request);
  const results = resultsBehind(request);
  const schema = schemaIn(prompt);
  const asked = schema === undefined ? prompt : prompt.slice(0, prompt.lastIndexOf('JSON Schema'));
  const call = results.length > 0 ? undefined : callFor(asked, offeredTools(request));
  if (call !== undefined) return { text: `${DEMO_LABEL} I call ${titleOf(call)}.`, toolCalls: [call] };
  if (schema !== undefined)
    return said(`No model key is configured; this value only fits the schema.\n\n${fenced(exampleOfSchema(schema))}`);
  if (results.length > 0) return said(`The tool answered. ${results.map(excerptOf).join(' ')}`);
  return said(
    `No model key is configured, so this is a built-in reply. Set ANTHROPIC_API_KEY to talk to a real model. You wrote ${prompt.length} characters: “${shortened(prompt, 160)}”`,
  );
}

const said = (text: string): DemoReply => ({ text: `${DEMO_LABEL} ${text}`, toolCalls: [] });
const fenced = (value: unknown): string => `\`\`\`json\n${JSON.stringify(value, null, 2)}\n\`\`\``;
const titleOf = ({ name, input }: DemoCall): string => (typeof input['toolId'] === 'string' ? input['toolId'] : name);

function shortened(text: string, length: number): string {
  const line = text.replace(/\s+/g, ' ').trim();
  return line.length > length ? `${line.slice(0, length)}…` : line;
}

/** About four characters a token, as the real protocol reports some number too. */
export const estimatedTokens = (text: string): number => Math.max(1, Math.ceil(text.length / 4));

/** All text of the request, for the count of its tokens. */
export function textOf(request: DemoRequest): string {
  return [contentText(request.system), ...messagesOf(request).map((message) => allText(message.content))].join('\n');
}

interface Message {
  readonly role?: unknown;
  readonly content?: unknown;
}
const messagesOf = ({ messages }: DemoRequest): readonly Message[] => (Array.isArray(messages) ? (messages as Message[]) : []);

interface Block {
  readonly type?: unknown;
  readonly text?: unknown;
  readonly content?: unknown;
}
const blocksOf = (content: unknown): readonly Block[] =>
  typeof content === 'string' ? [{ type: 'text', text: content }] : Array.isArray(content) ? (content as Block[]) : [];

const contentText = (content: unknown): string =>
  blocksOf(content)
    .filter(({ type }) => type === 'text')
    .map(({ text }) => String(text))
    .join('\n');

const allText = (content: unknown): string =>
  blocksOf(content)
    .map(({ text, content: inner }) => (typeof text === 'string' ? text : contentText(inner)))
    .join('\n');

/** The last words of the user. */
function lastPrompt(request: DemoRequest): string {
  return contentText(messagesOf(request).findLast(({ role, content }) => role === 'user' && contentText(content) !== '')?.content);
}

/** Results of tools that came behind those words. */
function resultsBehind(request: DemoRequest): readonly string[] {
  const messages = messagesOf(request);
  const at = messages.findLastIndex(({ role, content }) => role === 'user' && contentText(content) !== '');
  return messages
    .slice(at + 1)
    .flatMap(({ content }) => blocksOf(content))
    .filter(({ type }) => type === 'tool_result')
    .map(({ content }) => contentText(content));
}

/** Of what stands between the labels of a result; of a list of tools, their ids. */
function excerptOf(result: string): string {
  const data = /<data>\n?([\s\S]*?)\n?<\/data>/.exec(result)?.[1] ?? result;
  const ids = [...data.matchAll(/\{"id":"([a-z][a-z0-9_-]*:[a-z][a-z0-9_-]*)"/g)].map((match) => match[1]);
  if (ids.length > 0) return `There are ${ids.length} tools: ${ids.join(', ')}.`;
  return `It begins: “${shortened(data, 240)}”`;
}

function offeredTools({ tools }: DemoRequest): ReadonlySet<string> {
  const names = Array.isArray(tools) ? (tools as { name?: unknown }[]).map(({ name }) => String(name)) : [];
  return new Set(names);
}

const ASKS_FOR_TOOLS = /\b(list|show|which|what)\b[^.?!]{0,40}\btools\b/i;
const ASKS_TO_FETCH = /\b(fetch|get|download|open|read|load|look at|request)\b[^.?!]{0,60}https?:\/\//i;
const ADDRESS = /https?:\/\/[^\s"'<>)\]}]+[^\s"'<>)\]}.,;:!?]/;
const TOOL_ID = /(?<![\w/:.-])(?!https?:)([a-z][a-z0-9_-]*:[a-z][a-z0-9_-]*)(?![\w:/])/;

/** The call that the words ask for, if it can be made. */
function callFor(asked: string, offered: ReadonlySet<string>): DemoCall | undefined {
  if (offered.has('list_tools') && ASKS_FOR_TOOLS.test(asked)) return { name: 'list_tools', input: {} };
  if (!offered.has('call_tool')) return undefined;
  const id = TOOL_ID.exec(asked);
  if (id?.[1] !== undefined) return toolCall(id[1], paramsIn(asked.slice(id.index + id[1].length)) ?? defaultParams(id[1], asked));
  const address = ADDRESS.exec(asked)?.[0];
  return address !== undefined && ASKS_TO_FETCH.test(asked) ? toolCall('http:request', { url: address }) : undefined;
}

const toolCall = (toolId: string, params: unknown): DemoCall => ({
  name: 'call_tool',
  input: { toolId, params, summary: `The demo model was asked to call ${toolId}` },
});

function defaultParams(toolId: string, asked: string): unknown {
  const address = ADDRESS.exec(asked)?.[0];
  return toolId === 'http:request' && address !== undefined ? { url: address } : {};
}

/** A JSON object that follows the tool's id. */
function paramsIn(text: string): unknown {
  const from = text.indexOf('{');
  if (from < 0) return undefined;
  for (let to = text.indexOf('}', from); to >= 0; to = text.indexOf('}', to + 1)) {
    try {
      return JSON.parse(text.slice(from, to + 1)) as unknown;
    } catch {
      // A longer one may parse.
    }
  }
  return undefined;
}

/** The last fenced JSON after the words "JSON Schema". */
function schemaIn(prompt: string): unknown {
  const from = prompt.lastIndexOf('JSON Schema');
  if (from < 0) return undefined;
  const block = /```(?:json)?\s*\n([\s\S]*?)\n```/.exec(prompt.slice(from));
  try {
    return block?.[1] === undefined ? undefined : (JSON.parse(block[1]) as unknown);
  } catch {
    return undefined;
  }
}
