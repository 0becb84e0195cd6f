/** A model's tool call as a request to the registry. Pure. */
import type { Json, JsonObject } from '../../definition/value.js';
import { ASK_USER, CALL_TOOL, LIST_TOOLS } from './model-tools.js';
import { toolError, type ToolError } from './tool-error.js';

/** A `tool_use` block: its name, and whatever the model wrote as its input. */
export interface ModelCall {
  readonly name: string;
  readonly input: unknown;
}

/** A call as it will be shown, held and made. `params` are the model's own, not yet checked by the tool. */
export interface ToolRequest {
  /** The tool's full id; `list_tools` for that door itself. */
  readonly toolId: string;
  readonly params: JsonObject;
  /** One line for the person who may be asked; null when the model gave none. */
  readonly summary: string | null;
}

export type ReadCall =
  | ({ readonly kind: 'call' } & ToolRequest)
  | ({ readonly kind: 'malformed' } & ToolRequest & { readonly error: ToolError })
  | { readonly kind: 'question'; readonly question: string };

const SUMMARY_LIMIT = 500;

/** Also understands a model that calls a tool by its own id, or by the id as function names spell it (`files__read`, `files_read`). */
export function readCall({ name, input }: ModelCall, ids: readonly string[]): ReadCall {
  const given = isObject(input) ? input : {};
  if (name === ASK_USER) return { kind: 'question', question: textOf(given['question']) ?? '' };
  if (name === LIST_TOOLS) return { kind: 'call', toolId: LIST_TOOLS, params: given, summary: null };
  if (name === CALL_TOOL) return readCallTool(given, ids);
  return { kind: 'call', toolId: idOf(name, ids), params: given, summary: null };
}

function readCallTool(given: JsonObject, ids: readonly string[]): ReadCall {
  const named = textOf(given['toolId']);
  const toolId = named === undefined ? CALL_TOOL : idOf(named, ids);
  const summary = textOf(given['summary'])?.replaceAll(/\s+/g, ' ').trim().slice(0, SUMMARY_LIMIT) ?? '';
  const base = { toolId, summary: summary === '' ? null : summary };
  if (named === undefined) return { ...base, kind: 'malformed', params: {}, error: toolError('tool_failed', 'call_tool needs a `toolId`') };
  const params = toParams(given['params']);
  if (params !== undefined) return { ...base, kind: 'call', params };
  return { ...base, kind: 'malformed', params: {}, error: toolError('tool_failed', `\`params\` of ${toolId} is no JSON object`) };
}

/** Models now and then send the object as text. */
function toParams(given: Json | undefined): JsonObject | undefined {
  if (given === undefined || given === null) return {};
  if (isObject(given)) return given;
  if (typeof given !== 'string') return undefined;
  try {
    const parsed: unknown = JSON.parse(given);
    return isObject(parsed) ? parsed : undefined;
  } catch {
    return undefined;
  }
}

function idOf(name: string, ids: readonly string[]): string {
  if (name === LIST_TOOLS || ids.includes(name)) return name;
  return ids.find((id) => id.replace(':', '__') === name || id.replace(':', '_') === name) ?? name;
}

const textOf = (value: Json | undefined): string | undefined => (typeof value === 'string' && value !== '' ? value : undefined);
const isObject = (value: unknown): value is JsonObject => typeof value === 'object' && value !== null && !Array.isArray(value);
