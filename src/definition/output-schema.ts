/** Shapes of replies and answers: a field map or a JSON Schema, checked and brought to JSON Schema. Not for the workflow. */
import { Ajv2020, type AnySchema, type ErrorObject } from 'ajv/dist/2020.js';
import { isRecord } from './blocks.js';
import { linearRegExp } from './linear-patterns.js';
import { didYouMean } from './nearest.js';
import type { Segment } from './pointer.js';
import type { Json, JsonObject } from './value.js';

export interface SchemaFault {
  readonly path: readonly Segment[];
  readonly message: string;
  readonly suggestion?: string;
}
export type SchemaResult = { readonly schema: JsonObject } | { readonly faults: readonly SchemaFault[] };

const TYPES = ['string', 'number', 'integer', 'boolean', 'array', 'object', 'null'];
const FIELD_KEYS = new Set(['type', 'description', 'required', 'enum', 'default', 'items', 'properties']);
/** A schema is compiled to code when it is used: its size is bounded. */
const MAX_SCHEMA_CHARACTERS = 65_536;

/** A pattern that RE2 does not take is refused when it is saved: values are checked in linear time. */
const createAjv = (): Ajv2020 =>
  new Ajv2020({
    strict: false,
    allErrors: true,
    validateFormats: false,
    logger: false,
    addUsedSchema: false,
    code: { regExp: linearRegExp },
  });

/** Reads either form; `{ name: { type: "string" } }` is a field map, in which each field is required unless it says `required: false`. Pure. */
export function normalizeOutputSchema(raw: JsonObject): SchemaResult {
  if (isTooLong(raw)) return TOO_LONG;
  if (Object.keys(raw).length === 0) return { faults: [{ path: [], message: 'The schema describes nothing' }] };
  return isFieldMap(raw) ? fromFieldMap(raw) : checkJsonSchema(raw);
}

/** The form of an approval: a JSON Schema that a gate can keep. Pure. */
export const checkForm = (raw: JsonObject): SchemaResult => (isTooLong(raw) ? TOO_LONG : checkJsonSchema(raw));

const isTooLong = (raw: JsonObject): boolean => JSON.stringify(raw).length > MAX_SCHEMA_CHARACTERS;
const TOO_LONG: SchemaResult = { faults: [{ path: [], message: `A schema has at most ${MAX_SCHEMA_CHARACTERS} characters` }] };

/** Whether a JSON Schema is one. What the meta-schema cannot see, references that lead nowhere and broken patterns, shows when it is compiled. Pure. */
export function checkJsonSchema(raw: JsonObject): SchemaResult {
  const faults = typeFaults(raw, []);
  if (faults.length > 0) return { faults };
  // Ajv's own: such a schema answers with a promise, which passes for a yes.
  if (/"\$async"/.test(JSON.stringify(raw))) return { faults: [{ path: [], message: '$async is not supported' }] };
  const validator = validatorFor(raw);
  try {
    if (validator.validateSchema(raw) !== true)
      return {
        faults: (validator.errors ?? []).map((error) => ({
          path: pointerPath(error),
          message: `not a JSON Schema: ${error.message ?? error.keyword}`,
        })),
      };
    if (/"(?:\$ref|\$dynamicRef|\$id|pattern|patternProperties)"/.test(JSON.stringify(raw))) validator.compile(raw as AnySchema);
  } catch (error) {
    return { faults: [{ path: [], message: `not a JSON Schema: ${error instanceof Error ? error.message : String(error)}` }] };
  } finally {
    validator.removeSchema(raw);
  }
  return { schema: raw };
}

let shared: Ajv2020 | undefined;

/** Making one costs tens of milliseconds, so plain schemas share it; those that name themselves or others get their own. */
function validatorFor(raw: JsonObject): Ajv2020 {
  if (/"\$(?:id|ref|anchor|dynamicAnchor|dynamicRef|recursiveRef)"/.test(JSON.stringify(raw))) return createAjv();
  shared ??= createAjv();
  return shared;
}

const pointerPath = (error: ErrorObject): string[] =>
  error.instancePath
    .split('/')
    .slice(1)
    .map((token) => token.replaceAll('~1', '/').replaceAll('~0', '~'));

/** Every value is an object with a type of its own, and the whole has none: a field may well be named `type` or `properties`. */
const isFieldMap = (raw: JsonObject): boolean =>
  Object.values(raw).every(
    (field) => isRecord(field) && (typeof field['type'] === 'string' || Object.keys(field).every((key) => FIELD_KEYS.has(key))),
  );

function fromFieldMap(raw: JsonObject): SchemaResult {
  const faults: SchemaFault[] = [];
  const schema = objectSchema(raw, [], faults);
  return faults.length > 0 ? { faults } : checkJsonSchema(schema);
}

function objectSchema(map: JsonObject, path: readonly Segment[], faults: SchemaFault[]): JsonObject {
  const properties: [string, JsonObject][] = [];
  const required: string[] = [];
  for (const [name, field] of Object.entries(map)) {
    if (!isRecord(field)) faults.push({ path: [...path, name], message: 'expected an object with a type' });
    else {
      properties.push([name, fieldSchema(field, [...path, name], faults)]);
      if (field['required'] !== false) required.push(name);
    }
  }
  return { type: 'object', properties: Object.fromEntries(properties), ...(required.length > 0 ? { required } : {}) };
}

function fieldSchema(field: JsonObject, path: readonly Segment[], faults: SchemaFault[]): JsonObject {
  const { required, properties, ...rest } = field;
  if (field['type'] === undefined) faults.push({ path: [...path, 'type'], message: 'type is missing' });
  faults.push(...typeFaults({ type: field['type'] ?? 'object' }, path));
  const isNested = isRecord(properties) && !Array.isArray(required);
  if (isNested) return { ...rest, ...objectSchema(properties, [...path, 'properties'], faults) };
  return { ...rest, ...(properties === undefined ? {} : { properties }), ...(Array.isArray(required) ? { required } : {}) };
}

/** ajv would list every alternative of the meta-schema for a mistyped type: name the one mistake instead. */
function typeFaults(schema: JsonObject, path: readonly Segment[]): SchemaFault[] {
  const { type, properties, items } = schema;
  const types = Array.isArray(type) ? (type as readonly Json[]) : type === undefined ? [] : [type];
  const faults: SchemaFault[] = types
    .filter((each) => typeof each !== 'string' || !TYPES.includes(each))
    .map((each) => {
      const suggestion = typeof each === 'string' ? didYouMean(each, TYPES) : undefined;
      return {
        path: [...path, 'type'],
        message: `${JSON.stringify(each)} is no type; the types are ${TYPES.join(', ')}`,
        ...(suggestion === undefined ? {} : { suggestion }),
      };
    });
  if (isRecord(properties))
    for (const [name, field] of Object.entries(properties))
      if (isRecord(field)) faults.push(...typeFaults(field, [...path, 'properties', name]));
  if (isRecord(items)) faults.push(...typeFaults(items, [...path, 'items']));
  return faults;
}

/**
 * A check of values against a schema that was accepted before; compiling costs milliseconds, so keep it.
 * @returns for each value what is wrong with it, `path: message`, at most 20
 */
export function createSchemaCheck(schema: JsonObject): (value: Json) => readonly string[] {
  const validate = createAjv().compile(schema as AnySchema);
  return (value) =>
    validate(value)
      ? []
      : (validate.errors ?? [])
          .slice(0, 20)
          .map((error) => `${error.instancePath === '' ? 'The value' : error.instancePath}: ${error.message ?? error.keyword}`);
}
