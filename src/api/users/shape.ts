/** People as admins, and they themselves, see them. */
import { z } from 'zod';
import { ROLES } from '../../operations/role-matrix.js';
import { component, Instant } from '../shapes.js';

export const UserShape = component(
  'User',
  z.object({
    id: z.string(),
    name: z.string(),
    email: z.string(),
    role: z.enum(ROLES),
    groups: z.array(z.string()),
    slackUserId: z.string().nullable(),
    disabled: z.boolean(),
    createdAt: Instant,
    updatedAt: Instant.optional(),
  }),
);
