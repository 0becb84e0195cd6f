/** Approval as api.md says. */
import { z } from 'zod';
import { component, Instant, JsonOut, NullableInstant } from '../shapes.js';

const PersonShape = z.object({ id: z.string().nullable(), name: z.string() });

export const APPROVAL_STATUSES = ['pending', 'approved', 'denied', 'expired', 'cancelled'] as const;

export const ApprovalShape = component(
  'Approval',
  z.object({
    id: z.string(),
    executionId: z.string().nullable(),
    sessionId: z.string().nullable(),
    toolCall: z.object({ callId: z.string(), toolId: z.string(), args: JsonOut, summary: z.string().nullable() }).nullable(),
    workflowName: z.string().nullable(),
    stepId: z.string().nullable(),
    iterationPath: z.string().nullable(),
    attempt: z.number().int().nullable(),
    prompt: z.string().nullable(),
    status: z.enum(APPROVAL_STATUSES),
    approvers: z.array(z.string()).nullable(),
    quorum: z.number().int(),
    form: JsonOut,
    votes: z.array(
      z.object({
        by: PersonShape,
        via: z.enum(['http', 'web', 'slack', 'signal']),
        decision: z.enum(['approve', 'deny']),
        reason: z.string().nullable(),
        at: Instant,
      }),
    ),
    decidedBy: z.array(PersonShape),
    decidedAt: NullableInstant,
    reason: z.string().nullable(),
    answer: JsonOut,
    deadline: NullableInstant,
    createdAt: Instant,
    escalatedTo: JsonOut,
    notices: z
      .array(
        z.object({
          target: z.string().describe('Of a webhook its origin alone'),
          cause: z.enum(['required', 'reminded', 'escalated', 'found']),
          status: z.enum(['told', 'due', 'failed', 'dropped']).describe('dropped: it was settled before anybody was told'),
          failure: z.string().nullable().describe('Why the last try failed'),
          createdAt: Instant,
        }),
      )
      .exactOptional()
      .describe('Who was told of it; only where one approval is asked for'),
  }),
);
