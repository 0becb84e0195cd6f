/** From `Authorization: Bearer sbx_…` to a principal; then the caller's rate. */
import type { Request } from 'express';
import { AppError } from '../errors.js';
import { isAllowed, ROLES, type Action } from '../operations/role-matrix.js';
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
  if (principal === null) throw new AppError('unauthenticated', secret === undefined ? 'Send Authorization: Bearer sbx_…' : 'The key is unknown, expired or revoked', {});
  const waitMs = gatekeepers.rateLimiter.take(principal.keyId ?? principal.userId);
  if (waitMs > 0) {
    gatekeepers.onRateLimited();
    throw new AppError('rate_limited', 'Too many requests with this key', { retryAfterSeconds: Math.ceil(waitMs / 1_000) });
  }
  return principal;
}

/** @throws AppError forbidden, agent_cannot_decide */
export function authorize(principal: Principal, action: Action): void {
  if (isAllowed(principal, action)) return;
  if (action === 'decide' && principal.kind === 'agent') throw new AppError('agent_cannot_decide', 'Only a person decides an approval', {});
  const roles = ROLES.filter((role) => isAllowed({ role, kind: 'person', scopes: null }, action));
  const narrowed = roles.includes(principal.role) ? ` The key is narrowed to ${principal.scopes?.join(', ') ?? 'nothing'}.` : '';
  throw new AppError('forbidden', `This needs one of the roles ${roles.join(', ')}; the key has ${principal.role}.${narrowed}`, {});
}

/** The key in a bearer header, undefined when there is none. Pure. */
export function bearerOf(header: string | undefined): string | undefined {
  return header === undefined ? undefined : /^Bearer +([^\s]+) *$/i.exec(header)?.[1];
}
