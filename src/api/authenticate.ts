/** From `Authorization: Bearer sbx_…`, or a browser's login cookie, to a principal; then the caller's rate, then the browser's good faith. */
import type { IncomingHttpHeaders } from 'node:http';
import type { Request } from 'express';
import { AppError } from '../errors.js';
import { isCsrfTokenOf, toBrowserLogin, type BrowserLogin } from '../operations/logins.js';
import type { Principal } from '../operations/principal.js';
import { isForeign } from '../realtime/handshake.js';
import type { KeyRing } from './key-ring.js';
import { loginCookieOf } from './login-cookie.js';
import type { RateLimiter } from './rate-limiter.js';

export interface Gatekeepers {
  readonly keyRing: KeyRing;
  /** Logins by their cookies, as keys by their secrets. */
  readonly loginRing: KeyRing;
  readonly rateLimiter: RateLimiter;
  readonly onRateLimited: () => void;
}

export interface AuthenticatedCaller {
  readonly principal: Principal;
  /** What a browser showed instead of a key. */
  readonly login: BrowserLogin | undefined;
}

/** Who calls. @throws AppError unauthenticated, rate_limited, forbidden (a browser's write without its token, or from another origin) */
export async function authenticate(req: Request, gatekeepers: Gatekeepers): Promise<AuthenticatedCaller> {
  const caller = await callerOf(req.headers, gatekeepers);
  if (caller === null) {
    const isNothingShown = req.headers.authorization === undefined && loginCookieOf(req.headers.cookie) === undefined;
    throw new AppError('unauthenticated', isNothingShown ? 'Send Authorization: Bearer sbx_…' : UNKNOWN_KEY, {});
  }
  takeCall(caller.principal, gatekeepers);
  if (caller.login !== undefined && isWrite(req.method)) refuseForgery(req, caller.login);
  return caller;
}

/** Whom a key is of that is given to log in with. @throws AppError unauthenticated, rate_limited */
export async function authenticateKey(secret: string, gatekeepers: Gatekeepers): Promise<Principal> {
  const principal = await gatekeepers.keyRing.principalOf(secret);
  if (principal === null) throw new AppError('unauthenticated', UNKNOWN_KEY, {});
  takeCall(principal, gatekeepers);
  return principal;
}

const UNKNOWN_KEY = 'The key or login is unknown, expired or revoked';

/** Who shows a key or a login in these headers; null when nobody does. A key goes before a login. */
export async function callerOf(
  { authorization, cookie }: IncomingHttpHeaders,
  { keyRing, loginRing }: Pick<Gatekeepers, 'keyRing' | 'loginRing'>,
): Promise<AuthenticatedCaller | null> {
  if (authorization !== undefined) {
    const principal = await keyRing.principalOf(bearerOf(authorization) ?? '');
    return principal === null ? null : { principal, login: undefined };
  }
  const secret = loginCookieOf(cookie);
  const principal = secret === undefined ? null : await loginRing.principalOf(secret);
  return secret === undefined || principal === null ? null : { principal, login: toBrowserLogin(secret) };
}

/** Keys, people or logins have changed: the next request asks anew. */
export function forget({ keyRing, loginRing }: Pick<Gatekeepers, 'keyRing' | 'loginRing'>): void {
  keyRing.forget();
  loginRing.forget();
}

function takeCall(principal: Principal, { rateLimiter, onRateLimited }: Gatekeepers): void {
  const waitMs = rateLimiter.take(principal.keyId ?? principal.userId);
  if (waitMs === 0) return;
  onRateLimited();
  throw new AppError('rate_limited', 'Too many requests with this key', { retryAfterSeconds: Math.ceil(waitMs / 1_000) });
}

const isWrite = (method: string): boolean => method !== 'GET' && method !== 'HEAD';

/** Another site's page can make a browser send its cookie, but not this header, which it cannot know. */
function refuseForgery(req: Request, login: BrowserLogin): void {
  refuseForeign(req);
  if (!isCsrfTokenOf(login, req.get('x-csrf-token') ?? ''))
    throw new AppError('forbidden', 'Writes of a browser’s login bear X-CSRF-Token, the csrfToken of GET /api/me', {});
}

/** @throws AppError forbidden when a browser's page of another origin asks */
export function refuseForeign(req: Request): void {
  if (isForeign(req)) throw new AppError('forbidden', 'A page of another origin may not do this', {});
}

/** The key in a bearer header, undefined when there is none. Pure. */
function bearerOf(header: string): string | undefined {
  return /^Bearer +([^\s]+) *$/i.exec(header)?.[1];
}
