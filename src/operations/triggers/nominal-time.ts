import { everyOf, type Cron } from './cron.js';
import { namesMinute, wallClock } from './wall-clock.js';

const MINUTE_MS = 60_000;

/**
 * The tick (ms) that a start belongs to, which jitter has moved by up to that much. Temporal moves none past the tick that follows it, so it is
 * the last one at or before. Undefined when there is none. Pure but for the runtime's zones.
 */
export function nominalTimeOf(cron: Cron, timeZone: string, startMs: number, jitterMs: number): number | undefined {
  if (cron.kind === 'every') {
    const { everyMs, offsetMs } = everyOf(cron.text);
    return Math.floor((startMs - offsetMs) / everyMs) * everyMs + offsetMs;
  }
  const seconds = [...cron.fields.seconds].toSorted((a, b) => b - a);
  const first = Math.floor(startMs / MINUTE_MS) * MINUTE_MS;
  for (let minute = first; minute > startMs - jitterMs - MINUTE_MS; minute -= MINUTE_MS) {
    if (!namesMinute(cron.fields, wallClock(timeZone, minute))) continue;
    const second = seconds.find((each) => minute + each * 1_000 <= startMs);
    if (second !== undefined) return minute + second * 1_000;
  }
  return undefined;
}
