/** The tools that a model is offered: two doors to the registry, and a question that is refused. Pure. */
import type { JsonObject } from '../../definition/value.js';
import { allowList } from './allow-list.js';

/** As the model's wire protocol wants them. */
export interface ModelTool {
  readonly name: string;
  readonly description: string;
  readonly input_schema: JsonObject;
}

export const LIST_TOOLS = 'list_tools';
export const CALL_TOOL = 'call_tool';
export const ASK_USER = 'ask_user';

/** Names in a description; a longer list is asked for. */
const NAMES_SHOWN = 20;
const text: JsonObject = { type: 'string' };

/**
 * Kept short, as every turn pays for it: what the tools are called and take is asked of `list_tools`. An empty allow-list offers none.
 * `ask_user` is there so that a model that wants to ask does it where it can be told that nobody answers.
 */
export function modelTools(allow: readonly string[] | undefined): readonly ModelTool[] {
  if (allowList(allow).isEmpty) return [ASK];
  const names = allow === undefined || allow.length > NAMES_SHOWN ? '' : ` Only these: ${allow.join(', ')}.`;
  return [
    {
      name: LIST_TOOLS,
      description: `Lists tools with id, description, risk and parameters.${names}`,
      input_schema: { type: 'object', properties: { provider: text, query: text } },
    },
    {
      name: CALL_TOOL,
      description: 'Calls a tool by its id from list_tools. `summary` says in one line what for.',
      input_schema: {
        type: 'object',
        properties: { toolId: text, params: { type: 'object' }, summary: text },
        required: ['toolId', 'params', 'summary'],
      },
    },
    ASK,
  ];
}

const ASK: ModelTool = {
  name: ASK_USER,
  description: 'Asks the user a question.',
  input_schema: { type: 'object', properties: { question: text }, required: ['question'] },
};
