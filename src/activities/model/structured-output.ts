/** Structured output: what the prompt asks for, and whether a reply fits. Pure; the loop of repairs is built on it. */
import { Ajv2020 } from 'ajv/dist/2020.js';
import type { ValidateFunction } from 'ajv';
import { linearRegExp } from '../../definition/linear-patterns.js';
import type { Json } from '../../definition/value.js';
import { withinLimit } from '../../operations/within-limit.js';
import { jsonReadings } from './json-reply.js';

export type StructuredReply = { readonly ok: true; readonly value: Json } | { readonly ok: false; readonly error: string };

/** What is appended to the prompt. */
export function schemaInstructions(schema: Json): string {
  return `\n\nReply with one JSON value that fits this JSON Schema, in a fenced block, and nothing else:\n\`\`\`json\n${JSON.stringify(schema, null, 2)}\n\`\`\``;
}

/** Characters of a bad reply that its repair quotes. */
export const QUOTED_CHARACTERS = 800;

/** The start of a bad reply, never half of a surrogate pair. */
export const quoted = (reply: string): string => reply.slice(0, QUOTED_CHARACTERS).replace(/[\ud800-\udbff]$/, '');

/** What a model is told of a reply that does not fit. */
export function repairPrompt(error: string, reply: string): string {
  return `Your reply could not be used. ${error}\nIt began:\n<reply>\n${quoted(reply)}\n</reply>\nReply again: one JSON value that fits the schema, in a fenced block, and nothing else.`;
}

/** Reads and checks a reply: the first reading that fits. `error` is written for a model to act on: every fault of the likeliest. */
export function readStructuredReply(text: string, schema: Json): StructuredReply {
  try {
    return withinLimit(() => firstThatFits(text, schema));
  } catch (error) {
    return { ok: false, error: `The reply could not be checked: ${error instanceof Error ? error.message : String(error)}.` };
  }
}

function firstThatFits(text: string, schema: Json): StructuredReply {
  const validate = compiled(schema);
  if (typeof validate === 'string') return { ok: false, error: `The output schema cannot be used: ${validate}` };
  let first: string | undefined;
  for (const value of jsonReadings(text)) {
    if (validate(value)) return { ok: true, value };
    first ??= faultsOf(validate);
  }
  return { ok: false, error: first === undefined ? 'The reply holds no JSON that parses.' : `The JSON does not fit the schema: ${first}.` };
}

const faultsOf = ({ errors }: ValidateFunction): string =>
  (errors ?? [])
    .slice(0, 20)
    .map(({ instancePath, message }) => `${instancePath === '' ? '/' : instancePath} ${message ?? 'does not fit'}`)
    .join('; ');

const cache = new Map<string, ValidateFunction | string>();
const CACHE_SIZE = 200;

/** A fresh validator for each schema: `$id`s of two users must not meet. Texts say why a schema cannot be used. */
function compiled(schema: Json): ValidateFunction | string {
  const key = JSON.stringify(schema);
  const known = cache.get(key);
  if (known !== undefined) return known;
  if (cache.size >= CACHE_SIZE) cache.clear();
  const made = compile(schema);
  cache.set(key, made);
  return made;
}

function compile(schema: Json): ValidateFunction | string {
  try {
    const { $schema: _dialect, ...rest } = schema as { readonly [keyword: string]: Json };
    return new Ajv2020({ strict: false, allErrors: true, validateFormats: false, code: { regExp: linearRegExp } }).compile(rest);
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
