/** The cookie of a browser that is logged in. Pure. */

export const LOGIN_COOKIE = 'signalbox_login';

/** The login in a `Cookie` header. */
export function loginCookieOf(header: string | undefined): string | undefined {
  for (const pair of header?.split(';') ?? []) {
    const mark = pair.indexOf('=');
    if (mark > 0 && pair.slice(0, mark).trim() === LOGIN_COOKIE) return pair.slice(mark + 1).trim();
  }
  return undefined;
}

/**
 * `Set-Cookie` that logs a browser in. No script reads it, no page of another site sends it, and where the gateway is reached by https it
 * goes by nothing else.
 */
export const toLoginCookie = (secret: string, expiresAt: Date, origin: string): string =>
  `${LOGIN_COOKIE}=${secret}; ${attributesOf(origin)}; Expires=${expiresAt.toUTCString()}`;

/** `Set-Cookie` that takes it away. */
export const toNoLoginCookie = (origin: string): string => `${LOGIN_COOKIE}=; ${attributesOf(origin)}; Max-Age=0`;

const attributesOf = (origin: string): string => `Path=/; HttpOnly; SameSite=Strict${origin.startsWith('https:') ? '; Secure' : ''}`;
