import { createHmac, timingSafeEqual } from 'node:crypto';

const SIGNATURE = /^(?:sha256=)?([0-9a-f]{64})$/i;

/** Whether a header is the HMAC-SHA256 of the raw body under one of the secrets, in hexadecimal, `sha256=` before it or not. Pure. */
export function isSigned(raw: Uint8Array, header: string | undefined, secrets: readonly string[]): boolean {
  const given = SIGNATURE.exec(header?.trim() ?? '')?.[1];
  if (given === undefined) return false;
  const signature = Buffer.from(given, 'hex');
  // Every secret is tried, so that the time does not tell which one it was.
  return secrets.map((secret) => timingSafeEqual(createHmac('sha256', secret).update(raw).digest(), signature)).includes(true);
}
