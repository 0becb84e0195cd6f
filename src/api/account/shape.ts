import { z } from 'zod';
import { component, Instant, JsonOut } from '../shapes.js';

export const AuditEntryShape = component(
  'AuditEntry',
  z.object({
    id: z.string(),
    actor: JsonOut.describe('Who did it'),
    action: z.string(),
    targetType: z.string(),
    targetId: z.string().nullable(),
    details: JsonOut,
    requestId: z.string().nullable(),
    at: Instant,
  }),
);
