/** Pieces of wire shapes that several resources share. Components of the OpenAPI document are named in `components`. */
import { z } from 'zod';
import type { Json, JsonObject } from '../definition/value.js';
import { parseCursor } from '../store/page.js';
import { isStorable, jsonFaults } from './json-limits.js';
import { ProblemDocumentSchema, ProblemSchema, type Problem } from './problem.js';

/** Schemas that the OpenAPI document names; not zod's global registry, which belongs to whoever else uses zod. */
export const components = z.registry<{ id: string }>();

export function component<S extends z.ZodType>(id: string, schema: S): S {
  components.add(schema, { id });
  return schema;
}

component('Problem', ProblemSchema);
component('ProblemDocument', ProblemDocumentSchema);

/** An instant in an answer. */
export const Instant = z.iso.datetime({ precision: 3 });
export const NullableInstant = Instant.nullable();
/** Milliseconds. */
export const DurationMs = z.number().int().min(0);

/** An instant in a request: ISO 8601 with a zone, read as UTC with milliseconds. */
export const InstantInput = z.iso.datetime({ offset: true }).transform((text) => new Date(text).toISOString());

/** Text that can be stored. */
export const text = (min: number, max: number) =>
  z.string().min(min).max(max).refine(isStorable, 'The text holds a NUL character or half of a surrogate pair');

/** Any JSON that can be stored: faults are told with their pointers, all of them. */
export const AnyJson: z.ZodType<Json> = z
  .unknown()
  .superRefine((value, context) => addFaults(jsonFaults(value, ''), context))
  .transform((value) => value as Json);

/** A definition to be kept. What is wrong with it as a definition, its depth included, the one validator says with all the rest. */
export const StorableDefinition = z
  .unknown()
  .superRefine((value, context) => addFaults(jsonFaults(value, '', Number.POSITIVE_INFINITY), context))
  .describe('A definition; /api/schema/definition is its schema');

function addFaults(faults: readonly Problem[], context: z.core.$RefinementCtx): void {
  for (const fault of faults) context.addIssue({ code: 'custom', path: segmentsOf(fault.path), message: fault.message });
}

const segmentsOf = (pointer: string): string[] =>
  pointer
    .split('/')
    .slice(1)
    .map((segment) => segment.replaceAll('~1', '/').replaceAll('~0', '~'));

/** JSON in an answer. */
export const JsonOut = z.unknown();

const isObject = (value: Json): value is JsonObject => typeof value === 'object' && value !== null && !Array.isArray(value);

/** A JSON object with any content. Kept as it came, also with keys such as `__proto__` that a record would drop. */
export const JsonObjectInput: z.ZodType<JsonObject> = AnyJson.refine(isObject, 'Expected an object')
  .transform((value) => value as JsonObject)
  .meta({ type: 'object' });

const LIMIT_TEXT = /^\d{1,6}$/;
const LimitQuery = z
  .string()
  .regex(LIMIT_TEXT, 'Expected a whole number')
  .transform(Number)
  .pipe(z.number().min(1).max(200))
  .meta({ type: 'integer', minimum: 1, maximum: 200, default: 50 });

/** `?limit&cursor` of every list. */
export const pageQuery = {
  limit: LimitQuery.optional().transform((limit) => limit ?? 50),
  // An empty page would tell a client that had mixed up its cursors that there is no more.
  cursor: text(1, 500)
    .refine((cursor) => parseCursor(cursor) !== undefined, 'Expected the cursor of an earlier page')
    .exactOptional(),
};

export const BooleanQuery = z.enum(['true', 'false']).transform((value) => value === 'true');

/** A list as every route answers it. */
export const listOf = <S extends z.ZodType>(item: S) =>
  z.object({ items: z.array(item), cursor: z.string().nullable(), hasMore: z.boolean() });

/** A path parameter: what does not match cannot exist, so it is 404, never 422. */
export const idParam = (prefix: string) => z.string().regex(new RegExp(`^${prefix}_[0-9A-Za-z_:.-]{1,100}$`));
