/** The reference of the language in Markdown, written from the schemas. `docs/definition.md` is this text. Not for the workflow. */
import { LIBRARY } from './expression/library.js';
import { MAX_OPERATIONS } from './expression/evaluation.js';
import { MAX_NESTING, MAX_SOURCE } from './expression/syntax.js';
import { definitionJsonSchema } from './json-schema.js';
import { COMMON, STEP_SCHEMAS, STEP_TYPES, type StepTypeName } from './schema/steps.js';
import { isRecord } from './blocks.js';
import type { Json, JsonObject } from './value.js';

/** The whole page. Pure. */
export function renderDefinitionReference(): string {
  const schema = definitionJsonSchema();
  return [INTRODUCTION, root(schema), common(schema), ...STEP_TYPES.map((type) => step(type, schema)), EXPRESSIONS, functions(), BOUNDS]
    .join('\n\n')
    .concat('\n');
}

const INTRODUCTION = `# Definition reference

Generated from the schemas of \`src/definition\`; \`GET /api/schema/definition\` serves the same as JSON Schema. Fields in **bold** are
required. A *template* is a text with \`{{ … }}\` tokens, or JSON with such texts in it; an *expression* may stand bare or in one
\`{{ }}\`. Durations are a number of milliseconds, or one number and one unit: \`"250ms"\`, \`"90s"\`, \`"5m"\`, \`"24h"\`, \`"7d"\`.`;

const shown = (json: Json | undefined): string => (typeof json === 'string' ? json : JSON.stringify(json));
const object = (json: Json | undefined): JsonObject => (isRecord(json) ? json : {});

function root(schema: JsonObject): string {
  const variable = object(object(schema['$defs'])['Variable']);
  return [
    '## Root',
    table(schema),
    '### `variables.<name>`',
    table(variable),
    '### `constraints`',
    table(object(object(schema['properties'])['constraints'])),
  ].join('\n\n');
}

function stepSchema(type: StepTypeName, schema: JsonObject): JsonObject {
  const alternatives = object(object(schema['$defs'])['Step'])['oneOf'] as readonly JsonObject[];
  return alternatives.find((each) => object(object(each['properties'])['type'])['const'] === type) ?? {};
}

function common(schema: JsonObject): string {
  const set = stepSchema('set', schema);
  const retry = object(object(set['properties'])['retry']);
  return [
    '## Every step',
    `**\`type\`** is one of ${STEP_TYPES.map((type) => `\`${type}\``).join(', ')}. All of them have:`,
    table(set, (name) => name in COMMON),
    '### `retry`',
    table(retry),
  ].join('\n\n');
}

function step(type: StepTypeName, schema: JsonObject): string {
  const own = stepSchema(type, schema);
  const isOwn = (name: string): boolean =>
    name !== 'type' && (!(name in COMMON) || COMMON[name as keyof typeof COMMON] !== STEP_SCHEMAS[type].shape[name as 'id']);
  const oneOf = (own['oneOf'] ?? own['anyOf']) as readonly JsonObject[] | undefined;
  const choice =
    oneOf === undefined
      ? []
      : [`One of ${oneOf.map((each) => `\`${shown((each['required'] as readonly Json[])[0])}\``).join(', ')} is required.`];
  return [`## \`${type}\``, shown(own['description']), table(own, isOwn), ...nested(own), ...choice]
    .filter((part) => part !== '')
    .join('\n\n');
}

/** Lists of objects (cases, branches, catch) and objects (escalate) have a table of their own. */
function nested(own: JsonObject): string[] {
  return Object.entries(object(own['properties'])).flatMap(([name, field]) => {
    if (name in COMMON || !isRecord(field)) return [];
    const items = object(field['items']);
    if (isRecord(items['properties'])) return [`### \`${name}[]\``, table(items)];
    return isRecord(field['properties']) ? [`### \`${name}\``, table(field)] : [];
  });
}

function table(schema: JsonObject, isShown: (name: string) => boolean = () => true): string {
  const required = (schema['required'] ?? []) as readonly Json[];
  const rows = Object.entries(object(schema['properties']))
    .filter(([name]) => isShown(name))
    .map(
      ([name, field]) =>
        `| ${required.includes(name) ? `**\`${name}\`**` : `\`${name}\``} | ${typeText(object(field))} | ${defaultText(object(field))} | ${cell(shown(object(field)['description'] ?? ''))} |`,
    );
  return rows.length === 0 ? '' : ['| field | type | default | meaning |', '|---|---|---|---|', ...rows].join('\n');
}

const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll('\n', ' ');

function typeText(field: JsonObject): string {
  if (typeof field['x-kind'] === 'string') return field['x-kind'];
  if (field['$ref'] === '#/$defs/Block') return 'steps';
  if (Array.isArray(field['enum'])) return (field['enum'] as readonly Json[]).map((value) => `\`${shown(value)}\``).join(' \\| ');
  if (field['const'] !== undefined) return `\`${shown(field['const'])}\``;
  if (Array.isArray(field['anyOf'])) return (field['anyOf'] as readonly JsonObject[]).map(typeText).join(' \\| ');
  if (Array.isArray(field['allOf'])) return (field['allOf'] as readonly JsonObject[]).map(typeText).join(' ');
  const type = Array.isArray(field['type']) ? (field['type'] as readonly Json[]).map(shown).join(' \\| ') : shown(field['type'] ?? 'any');
  const [least, most] = [field['minimum'], field['maximum']];
  return type + (most === undefined ? '' : ` ${shown(least ?? '')}–${shown(most)}`);
}

const defaultText = ({ default: value }: JsonObject): string =>
  value === undefined || (isRecord(value) && Object.keys(value).length === 0) ? '' : `\`${JSON.stringify(value)}\``;

const EXPRESSIONS = `## Expressions and templates

Expressions look like JavaScript and are none: they are parsed to a closed list of kinds and walked. Literals; paths \`a.b\`,
\`a[0]\`, \`a.0\`, \`a["x-y"]\`; \`! && || ?? == != === !== < <= > >= + - * / % in ?:\`; list and object literals; the functions below.

- **Roots**: \`variables\`, \`outputs\`, \`loop\` (\`item\`, \`index\`), \`execution\`, \`trigger\`, \`secrets\`, and in \`match\` \`event\`. A bare
  name is the parameter of an arrow function, else \`itemVar\`, \`indexVar\` or \`as\` of a step around, else a variable. \`trigger\` is \`variables._trigger\`.
- **Missing** paths are no error: the value is missing, which equals \`null\`. The step gets a warning, unless the expression asks for it
  (\`exists(x)\`, \`length(x)\`, \`x ?? d\`, \`x == null\`).
- **Equality** is strict: \`"5" == 5\` is false. \`null\` equals missing. Lists and objects are equal when their content is.
- **Order**: numbers with numbers, texts with texts by code unit; every other comparison is false.
- **\`+\`** adds numbers, and joins a text with a text, number or boolean. Anything else is an \`expression_error\`, as is a result that is no
  finite number (\`1 / 0\`, \`5 % 0\`).
- **\`in\`**: an element of a list, or an own key of an object. For texts there is \`contains\`.
- **Own properties only.** Lists and texts also have \`length\`. \`__proto__\`, \`prototype\` and \`constructor\` are refused. \`[ ]\` takes a text
  or a number; for a computed key there is \`get(x, key)\`.
- **Conditions** are true as in JavaScript: \`""\`, \`0\`, \`null\`, \`false\` and missing are false, lists and objects are true.
- **A lone token** (nothing around it, not even a space) keeps the type of its expression; a missing value becomes \`null\`. In mixed text missing is empty,
  \`null\` is "null", objects and lists are JSON. To write two opening braces as such: \`{{ "{{" }}\`.
- **Secrets** are read as \`secrets.NAME\`, only in the fields of \`tool\`, \`bash\`, \`notify\` and \`agent_prompt\` steps; the value never leaves the activity.
- **Instants** are ISO texts (\`now()\` gives UTC with milliseconds, so that two of them compare as texts) or milliseconds; a text without offset is UTC.`;

function functions(): string {
  const rows = Object.values(LIBRARY).map(({ usage, gives }) => `| \`${usage.replaceAll('|', '\\|')}\` | ${cell(gives)} |`);
  return [
    '### Functions',
    'Functions change nothing of what they are given. A wrong kind of argument is an `expression_error`.',
    ['| function | gives |', '|---|---|', ...rows].join('\n'),
  ].join('\n\n');
}

const BOUNDS = `### Bounds

An expression has at most ${MAX_SOURCE} characters, ${MAX_NESTING} levels and ${MAX_OPERATIONS} operations, and makes at most 16 Mi characters (an element of a list counts
8). Beyond that it fails with \`expression_error\`, with \`details.limit\`. Patterns of \`matches\` are RE2, which runs in linear time.
A definition has at most 1 MiB, 50 levels of steps and 256 levels of JSON.`;
