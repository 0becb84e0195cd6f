/** The kinds of fields that steps are made of. `x-kind` in the JSON Schema tells editors how a text is read. */
import { z } from 'zod';
import { parseDuration } from '../duration.js';
import { isForbiddenName } from '../expression/library.js';

export const STEP_ID = /^[A-Za-z_][A-Za-z0-9_-]{0,63}$/;
const LOCAL_NAME = /^[A-Za-z_][A-Za-z0-9_]{0,63}$/;
const RESERVED = new Set([
  'variables',
  'outputs',
  'loop',
  'execution',
  'trigger',
  'secrets',
  'event',
  'true',
  'false',
  'null',
  'undefined',
  'in',
]);

export type FieldKind = 'template' | 'expression' | 'duration' | 'instant';
/** A text with `{{ … }}` tokens. */
export const templateText = (description: string) => z.string().meta({ description, 'x-kind': 'template' });
/** Any JSON; texts in it, at any depth, may have tokens. */
export const templateJson = (description: string) => z.unknown().meta({ description, 'x-kind': 'template' });
export const templateObject = (description: string) => z.record(z.string(), z.unknown()).meta({ description, 'x-kind': 'template' });
/** A condition or other expression, bare or in one `{{ }}`. */
export const expression = (description: string) => z.union([z.string(), z.boolean()]).meta({ description, 'x-kind': 'expression' });

const DURATION_MESSAGE = 'expected a number of milliseconds, or one number and one unit (ms, s, m, h, d) such as "90s"';
const coded = (code: string, message: string) => ({ message, params: { code } });
export const duration = (description: string) =>
  z
    .union([z.number(), z.string()])
    .refine((value) => (parseDuration(value) ?? 0) > 0, coded('duration_invalid', DURATION_MESSAGE))
    .meta({ description, 'x-kind': 'duration' });

export const stepId = z
  .string()
  .regex(STEP_ID)
  .refine((id) => !isForbiddenName(id), coded('invalid_step_id', 'this name is not allowed'))
  .meta({ description: 'Unique in the whole definition. Filled in as `<type>_<n>` when missing.' });

/** A name that expressions read bare; with hyphens it is read as `variables["a-b"]`. */
const isName = (name: string): boolean => STEP_ID.test(name) && !isForbiddenName(name);
export const variableName = z
  .string()
  .refine(isName, 'expected a name of letters, digits, _ and -, beginning with a letter or _')
  .meta({ pattern: STEP_ID.source });
export const localName = (description: string) =>
  z
    .string()
    .refine(
      (name) => LOCAL_NAME.test(name) && !isForbiddenName(name) && !RESERVED.has(name),
      'expected a name of letters, digits and _ that is no root of expressions',
    )
    .meta({ description, pattern: LOCAL_NAME.source });

/** Texts that are what they are: tokens in them would have no meaning. */
export const plainText = (description: string) =>
  z
    .string()
    .min(1)
    .refine((text) => !text.includes('{{'), 'takes no {{ }} template')
    .meta({ description });

export const errorCode = z
  .string()
  .regex(/^(\*|[a-z0-9_]+\*?)$/)
  .meta({ description: 'An error code, `*`, or a prefix such as `http_5*`' });

/** Steps in order. Their own shape is checked one by one, so that every fault of every step is found; the JSON Schema says `Step` here. */
export const block = z.array(z.unknown()).min(1).meta({ id: 'Block', description: 'Steps, run in this order' });
