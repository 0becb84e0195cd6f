/**
 * A gate's form as fields of a modal, and what was filled in as an answer again. Text, numbers, yes or no, and choices have fields of
 * their own; whatever else a schema may say is written as JSON. Pure.
 */
import type { Json } from '../../definition/value.js';
import type { Block } from './slack-client.js';
import { cut } from './mrkdwn.js';

type Schema = { readonly [keyword: string]: Json };
type Kind = 'text' | 'number' | 'integer' | 'boolean' | 'choice' | 'json';
interface Field {
  /** Of the answer; null: the field is the whole answer. */
  readonly name: string | null;
  readonly kind: Kind;
  readonly schema: Schema;
  readonly required: boolean;
}

const LABEL_LIMIT = 150;
const HINT_LIMIT = 500;
const OPTION_LIMIT = 75;
const MOST_OPTIONS = 100;
/** A modal takes 100 blocks; prompt and reason are among them. */
const MOST_FIELDS = 90;
const TEXT_LIMIT = 3_000;
const VALUE = 'value';

/** The input blocks of a form, in its order. */
export const formBlocks = (form: Json): readonly Block[] => fieldsOf(form).map((field, index) => inputOf(field, idOf(index)));

/** What Slack says of a modal: by block id and action id. */
export type FormState = { readonly [blockId: string]: { readonly [actionId: string]: unknown } | undefined };
export type FilledIn = { readonly answer: Json } | { readonly errors: { readonly [blockId: string]: string } };

/** The answer that was filled in, or which fields cannot be read. Whether it fits the form is checked where decisions are. */
export function answerOf(form: Json, state: FormState): FilledIn {
  const answer: { [name: string]: Json } = {};
  const errors: { [blockId: string]: string } = {};
  let whole: Json | undefined;
  for (const [index, field] of fieldsOf(form).entries()) {
    const read = readField(field, state[idOf(index)]?.[VALUE]);
    if (read === undefined) continue;
    if ('error' in read) errors[idOf(index)] = read.error;
    else if (field.name === null) whole = read.value;
    else Object.defineProperty(answer, field.name, { value: read.value, enumerable: true, configurable: true, writable: true });
  }
  if (Object.keys(errors).length > 0) return { errors };
  return { answer: whole === undefined ? (hasWholeField(form) ? null : answer) : whole };
}

/** Faults of an answer (JSON pointers into it) beside the fields that they are about; what is about none goes to the first. */
export function errorsByField(
  form: Json,
  problems: readonly { readonly path: string; readonly message: string }[],
): { readonly [blockId: string]: string } {
  const fields = fieldsOf(form);
  const errors: { [blockId: string]: string } = {};
  for (const { path, message } of problems) {
    const name = path.split('/')[1]?.replaceAll('~1', '/').replaceAll('~0', '~');
    const index = fields.findIndex((field) => field.name !== null && field.name === name);
    const id = idOf(Math.max(0, index));
    errors[id] = cut(errors[id] === undefined ? message : `${errors[id]}; ${message}`, HINT_LIMIT);
  }
  return errors;
}

const idOf = (index: number): string => `field_${index}`;
const isObject = (json: Json | undefined): json is Schema => typeof json === 'object' && json !== null && !Array.isArray(json);
const hasWholeField = (form: Json): boolean => fieldsOf(form)[0]?.name === null;
const textOf = (json: Json | undefined): string | undefined => (typeof json === 'string' && json.trim() !== '' ? json : undefined);

function fieldsOf(form: Json): readonly Field[] {
  const whole: Field = { name: null, kind: 'json', schema: {}, required: true };
  if (!isObject(form)) return [whole];
  const { properties, required } = form;
  const names = isObject(properties) ? Object.keys(properties) : [];
  const isPlain = (form['type'] === 'object' || form['type'] === undefined) && isObject(properties) && names.length > 0;
  if (!isPlain || names.length > MOST_FIELDS) return [{ ...whole, schema: form }];
  return names.map((name) => {
    const schema = properties[name];
    return {
      name,
      kind: isObject(schema) ? kindOf(schema) : 'json',
      schema: isObject(schema) ? schema : {},
      required: Array.isArray(required) && (required as readonly Json[]).includes(name),
    };
  });
}

const COMPOSED = ['anyOf', 'oneOf', 'allOf', 'not', 'if', '$ref', 'const'];

function kindOf(schema: Schema): Kind {
  if (COMPOSED.some((keyword) => schema[keyword] !== undefined)) return 'json';
  if (choicesOf(schema).length > 0) return 'choice';
  const { type } = schema;
  if (type === 'string') return 'text';
  return type === 'number' || type === 'integer' || type === 'boolean' ? type : 'json';
}

function choicesOf({ enum: choices }: Schema): readonly (string | number | boolean)[] {
  if (!Array.isArray(choices) || choices.length > MOST_OPTIONS) return [];
  const simple = choices.filter((one): one is string | number | boolean => ['string', 'number', 'boolean'].includes(typeof one));
  return simple.length === choices.length ? simple : [];
}

function inputOf(field: Field, blockId: string): Block {
  const { schema } = field;
  const label = textOf(schema['title']) ?? (field.name === null ? 'Answer (JSON)' : (textOf(field.name) ?? 'Without a name'));
  const description = textOf(schema['description']);
  const hint = [description, field.kind === 'json' && field.name !== null ? 'as JSON' : undefined].filter((part) => part !== undefined);
  return {
    type: 'input',
    block_id: blockId,
    optional: !field.required,
    label: plainText(label, LABEL_LIMIT),
    ...(hint.length === 0 ? {} : { hint: plainText(hint.join(' · '), HINT_LIMIT) }),
    element: { action_id: VALUE, ...elementOf(field) },
  };
}

function elementOf({ kind, schema }: Field): object {
  const preset = schema['default'];
  switch (kind) {
    case 'text': {
      const most = Math.min(numberOf(schema['maxLength']) ?? TEXT_LIMIT, TEXT_LIMIT);
      const least = Math.min(Math.max(numberOf(schema['minLength']) ?? 0, 0), most);
      return {
        type: 'plain_text_input',
        multiline: most > 200,
        ...(most >= 1 ? { max_length: most } : {}),
        ...(least > 0 ? { min_length: least } : {}),
        ...initialText(preset, least, most),
      };
    }
    case 'number':
    case 'integer':
      return numberElement(schema, kind === 'integer');
    case 'boolean':
      return select(
        [
          ['Yes', 'true'],
          ['No', 'false'],
        ],
        typeof preset === 'boolean' ? (preset ? 0 : 1) : -1,
      );
    case 'choice': {
      const choices = choicesOf(schema);
      // Values go by their place: Slack's own are short.
      return select(
        choices.map((choice, index) => [String(choice), String(index)]),
        choices.findIndex((choice) => choice === preset),
      );
    }
    case 'json':
      return {
        type: 'plain_text_input',
        multiline: true,
        max_length: TEXT_LIMIT,
        ...(preset === undefined ? {} : initialText(JSON.stringify(preset), 1, TEXT_LIMIT)),
      };
  }
}

/** Half of what an author proposes is no proposal. */
const initialText = (preset: Json | undefined, least: number, most: number): object =>
  typeof preset === 'string' && preset !== '' && preset.length >= least && preset.length <= most ? { initial_value: preset } : {};

/** Slack takes no form in which a bound or a default contradicts another, or is no plain decimal: what it would not take is left to the check. */
function numberElement(schema: Schema, isInteger: boolean): object {
  const [minimum, maximum, preset] = [numberOf(schema['minimum']), numberOf(schema['maximum']), numberOf(schema['default'])];
  const least = decimalOf(minimum === undefined || !isInteger ? minimum : Math.ceil(minimum));
  const most = decimalOf(maximum === undefined || !isInteger ? maximum : Math.floor(maximum));
  const isRange = Number(least ?? Number.NEGATIVE_INFINITY) <= Number(most ?? Number.POSITIVE_INFINITY);
  const isPreset =
    preset !== undefined && preset >= (minimum ?? preset) && preset <= (maximum ?? preset) && (!isInteger || Number.isInteger(preset));
  return {
    type: 'number_input',
    is_decimal_allowed: !isInteger,
    ...(least !== undefined && isRange ? { min_value: least } : {}),
    ...(most !== undefined && isRange ? { max_value: most } : {}),
    ...(isPreset && decimalOf(preset) !== undefined ? { initial_value: decimalOf(preset) } : {}),
  };
}

/** As Slack writes numbers, without an exponent; undefined: it cannot be written so. */
function decimalOf(number: number | undefined): string | undefined {
  const text = String(number);
  return number === undefined || text.includes('e') ? undefined : text;
}

function select(options: readonly (readonly [string, string])[], initial: number): object {
  const all = options.map(([text, value]) => ({ text: plainText(text === '' ? '(empty)' : text, OPTION_LIMIT), value }));
  return { type: 'static_select', options: all, ...(all[initial] === undefined ? {} : { initial_option: all[initial] }) };
}

const plainText = (text: string, limit: number) => ({ type: 'plain_text', text: cut(text, limit) });
const numberOf = (json: Json | undefined): number | undefined => (typeof json === 'number' && Number.isFinite(json) ? json : undefined);

type Read = { readonly value: Json } | { readonly error: string } | undefined;

/** Undefined: left empty. */
function readField({ kind, schema }: Field, state: unknown): Read {
  const { value, selected_option: option } = (typeof state === 'object' && state !== null ? state : {}) as {
    readonly value?: unknown;
    readonly selected_option?: { readonly value?: unknown } | null;
  };
  const text = typeof value === 'string' && value !== '' ? value : undefined;
  const chosen = typeof option?.value === 'string' ? option.value : undefined;
  switch (kind) {
    case 'text':
      return text === undefined ? undefined : { value: text };
    case 'number':
    case 'integer':
      return text === undefined ? undefined : readNumber(text);
    case 'boolean':
      return chosen === undefined ? undefined : { value: chosen === 'true' };
    case 'choice': {
      const choice = chosen === undefined ? undefined : choicesOf(schema)[Number(chosen)];
      return choice === undefined ? undefined : { value: choice };
    }
    case 'json':
      return text === undefined || text.trim() === '' ? undefined : readJson(text);
  }
}

function readNumber(text: string): Read {
  const number = Number(text.trim());
  return text.trim() === '' || !Number.isFinite(number) ? { error: 'Write a number' } : { value: number };
}

function readJson(text: string): Read {
  try {
    return { value: JSON.parse(text) as Json };
  } catch {
    return { error: 'Write JSON: text stands in double quotes' };
  }
}
