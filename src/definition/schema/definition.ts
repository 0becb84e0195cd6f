/** The root of a definition. */
import { z } from 'zod';
import { block, duration, templateJson, variableName } from './fields.js';

export const VariableSchema = z
  .strictObject({
    type: z.enum(['string', 'number', 'boolean', 'array', 'object']).meta({ description: 'What a value has to be' }),
    description: z.string().optional().meta({ description: 'For readers' }),
    required: z.boolean().default(false).meta({ description: 'A start without it is refused, unless there is a default' }),
    default: z.unknown().optional().meta({ description: 'Taken when it is left out or null' }),
    enum: z.array(z.unknown()).min(1).optional().meta({ description: 'The only values allowed' }),
  })
  .meta({ id: 'Variable', description: 'An input of the run' });

export const SEMVER = /^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?$/;

export const ConstraintsSchema = z.strictObject({
  allowSelfModification: z.boolean().default(false).meta({ description: 'Agents may propose changes to this workflow' }),
  maxSteps: z
    .int()
    .min(1)
    .max(1_000_000)
    .default(10_000)
    .meta({ description: 'Step instances of one run, containers counted, retries not; then `max_steps_exceeded`' }),
  maxDuration: duration('Longest run; then `max_duration_exceeded`').default('7d'),
  maxTokens: z.int().min(1).optional().meta({ description: 'Budget of one run; then `budget_exceeded`' }),
  maxDepth: z
    .int()
    .min(1)
    .max(50)
    .default(5)
    .meta({ description: 'Executions in a chain of subworkflows, the root counted; then `depth_exceeded`' }),
});

export const DefinitionSchema = z
  .strictObject({
    name: z
      .string()
      .max(200)
      .refine((name) => name.trim() !== '', 'expected a name')
      .meta({ description: 'What people call it' }),
    description: z.string().max(20_000).optional().meta({ description: 'What it is for' }),
    version: z.string().max(100).regex(SEMVER).default('1.0.0').meta({ description: 'Semantic version' }),
    variables: z.record(variableName, VariableSchema).optional().meta({
      description:
        'Inputs: name to type, description, required, default, enum. A start with missing, mistyped or unknown inputs is refused',
    }),
    steps: block.meta({ description: 'Steps, run in this order' }),
    output: templateJson('Result of the run; without it all outputs').optional(),
    constraints: ConstraintsSchema.prefault({}).meta({ description: 'Limits of a run' }),
    failureNotify: z
      .enum(['orchestrator', 'none'])
      .default('orchestrator')
      .meta({ description: 'Who is told when a run fails that nobody started by hand' }),
  })
  .meta({ title: 'Workflow definition', description: 'A workflow as its author writes it' });
