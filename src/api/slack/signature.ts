import { createHmac, timingSafeEqual } from 'node:crypto';

/** Both ways: a clock may be ahead. */
const WINDOW_SECONDS = 300;

export interface SignedRequest {
  /** `X-Slack-Request-Timestamp`. */
  readonly timestamp: string | undefined;
  /** `X-Slack-Signature`. */
  readonly signature: string | undefined;
  /** The body's bytes as they came. */
  readonly body: Buffer;
}

/** Whether Slack sent these bytes within the last five minutes: its v0 signature. Without a secret nobody did. Pure. */
export function isFromSlack({ timestamp, signature, body }: SignedRequest, secret: string | undefined, nowMs: number): boolean {
  if (secret === undefined || secret === '' || timestamp === undefined || signature === undefined) return false;
  if (!/^\d{1,12}$/.test(timestamp) || Math.abs(nowMs / 1000 - Number(timestamp)) > WINDOW_SECONDS) return false;
  const expected = Buffer.from(`v0=${createHmac('sha256', secret).update(`v0:${timestamp}:`).update(body).digest('hex')}`);
  const given = Buffer.from(signature);
  return given.length === expected.length && timingSafeEqual(given, expected);
}
