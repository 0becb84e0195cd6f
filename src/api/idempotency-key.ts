/** A caller's key, in the header or in the body. */
import { z } from 'zod';
import { isStorable } from './json-limits.js';
import { validationFailed } from './validation.js';

export const IdempotencyKeySchema = z.string().min(1).max(255).refine(isStorable, 'Expected text without NUL');

/** The one key of a request. @throws AppError validation_failed when header and body name two */
export function idempotencyOf(header: string | undefined, body: string | undefined): { readonly idempotencyKey?: string } {
  if (header !== undefined && body !== undefined && header !== body) {
    throw validationFailed([
      { code: 'invalid_field', severity: 'error', path: '/idempotencyKey', message: 'Idempotency-Key and idempotencyKey differ: send one' },
    ]);
  }
  const idempotencyKey = header ?? body;
  return idempotencyKey === undefined ? {} : { idempotencyKey };
}
