/** The language as JSON Schema 2020-12, generated from the zod schemas. Not for the workflow. */
import { z } from 'zod';
import { DefinitionSchema } from './schema/definition.js';
import { StepSchema } from './schema/steps.js';
import type { JsonObject } from './value.js';

let cached: JsonObject | undefined;

/** Schema of definitions: what `GET /api/schema/definition` serves. Steps inside steps refer to `#/$defs/Step`. The same object each time. */
export function definitionJsonSchema(): JsonObject {
  cached ??= build();
  return cached;
}

function build(): JsonObject {
  const schema = toSchema(DefinitionSchema);
  const step = toSchema(StepSchema);
  const { $defs: rootDefs, $schema, ...root } = schema;
  const { $defs: stepDefs, $schema: _same, ...stepBody } = step;
  const defs = { ...(rootDefs as JsonObject), ...(stepDefs as JsonObject), Step: stepBody } as JsonObject;
  return { $schema: $schema ?? 'https://json-schema.org/draft/2020-12/schema', ...root, $defs: withBlocks(defs) };
}

/** zod sees a block as a list of anything: each step is checked by itself, with all its faults. Here it is a list of steps. */
function withBlocks(defs: JsonObject): JsonObject {
  return Object.fromEntries(
    Object.entries(defs).map(([name, def]) => [name, name === 'Block' ? { ...(def as JsonObject), items: { $ref: '#/$defs/Step' } } : def]),
  );
}

const toSchema = (schema: z.ZodType): JsonObject =>
  z.toJSONSchema(schema, {
    target: 'draft-2020-12',
    io: 'input',
    unrepresentable: 'any',
    reused: 'inline',
    override: ({ jsonSchema }) => {
      if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) delete jsonSchema.maximum;
      if (jsonSchema.minimum === Number.MIN_SAFE_INTEGER) delete jsonSchema.minimum;
      delete (jsonSchema as { id?: string }).id;
    },
  }) as unknown as JsonObject;
