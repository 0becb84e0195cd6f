/** Reads an object by its schema, keeping what is sound when a part is not, so that every further fault is still found. */
import { z } from 'zod';

export type Lenient<S extends z.ZodObject> = { readonly [K in keyof z.output<S>]?: Loose<z.output<S>[K]> };
/** In a list of objects each object may lack fields. */
type Loose<T> =
  NonNullable<T> extends readonly (infer Item)[] ? (Item extends object ? readonly Partial<Item>[] : NonNullable<T>) : NonNullable<T>;

export interface LenientResult<S extends z.ZodObject> {
  readonly fields: Lenient<S>;
  readonly issues: readonly z.core.$ZodIssue[];
}

/** zod names what it got by its `constructor`, which an author's object may have as a key of its own. */
const { localeError } = z.locales.en();
const READING = {
  error(issue: z.core.$ZodRawIssue) {
    try {
      return localeError(issue);
    } catch {
      return 'Invalid input';
    }
  },
};

/** All issues of the whole, and each field that parses by itself, defaults filled in. */
export function parseLeniently<S extends z.ZodObject>(schema: S, raw: object): LenientResult<S> {
  const result = schema.safeParse(raw, READING);
  if (result.success) return { fields: result.data as Lenient<S>, issues: [] };
  return { fields: soundFields(schema, raw) as Lenient<S>, issues: result.error.issues };
}

function soundFields(schema: z.ZodObject, raw: object): { [key: string]: unknown } {
  const fields: { [key: string]: unknown } = {};
  for (const [key, field] of Object.entries(schema.shape)) {
    const value: unknown = Object.hasOwn(raw, key) ? (raw as { [key: string]: unknown })[key] : undefined;
    const sound = soundValue(field as z.ZodType, value);
    if (sound !== undefined) fields[key] = sound;
  }
  return fields;
}

function soundValue(field: z.ZodType, value: unknown): unknown {
  const result = field.safeParse(value, READING);
  if (result.success) return result.data;
  const element = elementOf(field);
  return element !== undefined && Array.isArray(value)
    ? value.map((item: unknown) => (isRecord(item) ? soundFields(element, item) : {}))
    : undefined;
}

function elementOf(field: z.ZodType): z.ZodObject | undefined {
  const inner = field instanceof z.ZodOptional || field instanceof z.ZodDefault ? (field.unwrap() as z.ZodType) : field;
  return inner instanceof z.ZodArray && inner.element instanceof z.ZodObject ? inner.element : undefined;
}

const isRecord = (value: unknown): value is object => typeof value === 'object' && value !== null && !Array.isArray(value);
