/** From `Authorization: Bearer sbx_…` to a principal; then the caller's rate. */
import type { Request } from 'express';
import { AppError } from '../errors.js';
import type { Principal } from '../operations/principal.js';
import type { KeyRing } from './key-ring.js';
import type { RateLimiter } from './rate-limiter.js';

export interface Gatekeepers {
  readonly keyRing: KeyRing;
  readonly rateLimiter: RateLimiter;
  readonly onRateLimited: () => void;
}

/** Who calls. @throws AppError unauthenticated, rate_limited */
export async function authenticate(req: Request, gatekeepers: Gatekeepers): Promise<Principal> {
  const secret = bearerOf(req.headers.authorization);
  const principal = secret === undefined ? null : await gatekeepers.keyRing.principalOf(secret);
  if (principal === null)
    throw new AppError(
      'unauthenticated',
      secret === undefined ? 'Send Authorization: Bearer sbx_…' : 'The key is unknown, expired or revoked',
      {},
    );
  const waitMs = gatekeepers.rateLimiter.take(principal.keyId ?? principal.userId);
  if (waitMs > 0) {
    gatekeepers.onRateLimited();
    throw new AppError('rate_limited', 'Too many requests with this key', { retryAfterSeconds: Math.ceil(waitMs / 1_000) });
  }
  return principal;
}

/** The key in a bearer header, undefined when there is none. Pure. */
export function bearerOf(header: string | undefined): string | undefined {
  return header === undefined ? undefined : /^Bearer +([^\s]+) *$/i.exec(header)?.[1];
}
