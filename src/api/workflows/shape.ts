/** Workflow, its history and its differences as api.md says. */
import { z } from 'zod';
import { ProblemSchema } from '../problem.js';
import { component, Instant, JsonOut } from '../shapes.js';

export const WorkflowShape = component(
  'Workflow',
  z.object({
    id: z.string(),
    slug: z.string().nullable().describe('Null: its name gives none that is free'),
    name: z.string(),
    description: z.string().nullable(),
    version: z.string(),
    hash: z.string(),
    data: JsonOut.describe('The definition as it is kept'),
    enabled: z.boolean(),
    tags: z.array(z.string()),
    createdAt: Instant,
    updatedAt: Instant,
  }),
);

export const HistoryItemShape = z.object({
  hash: z.string(),
  version: z.string(),
  source: z.enum(['sync', 'update', 'proposal_apply', 'rollback', 'system']),
  notes: z.string().nullable(),
  createdBy: JsonOut,
  createdAt: Instant,
  proposalId: z.string().nullish(),
});

const FieldChangeShape = z.object({ path: z.string(), from: JsonOut, to: JsonOut });
const StepIds = z.array(z.string());
export const DiffShape = component(
  'Diff',
  z.object({
    steps: z.object({
      added: StepIds,
      removed: StepIds,
      moved: StepIds.describe('In another container or slot, or in another order'),
      changed: z.array(z.object({ stepId: z.string(), fields: z.array(FieldChangeShape) })),
    }),
    root: z.array(FieldChangeShape),
  }),
);

export const WarningsShape = z.array(ProblemSchema);
