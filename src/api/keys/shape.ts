/** API keys as the wire shows them: never their secret, but once. */
import { z } from 'zod';
import { ACTIONS, ROLES } from '../../operations/role-matrix.js';
import { component, Instant, NullableInstant } from '../shapes.js';

export const KeyShape = component(
  'Key',
  z.object({
    id: z.string(),
    userId: z.string(),
    name: z.string(),
    kind: z.enum(['person', 'agent']),
    role: z.enum(ROLES),
    scopes: z.array(z.enum(ACTIONS)).nullable().describe('What the key is narrowed to; null: all that its role may do'),
    createdAt: Instant,
    expiresAt: NullableInstant,
    lastUsedAt: NullableInstant.optional(),
  }),
);
