/**
 * Where clocks are put back, a wall-clock time comes twice, and a schedule that names it ticks twice. Temporal's calendar gives, east of
 * Greenwich, the second one alone (measured, server 1.32): `30 2 * * *` in Europe/Berlin once, a half-hourly one an hour too few. So the instants of
 * the repeated hour are given to it one by one as well; the ones it knows by itself are then the same instants. Pure but for the runtime's zones.
 */
import type { Cron, CronFields } from './cron.js';
import { namesMinute, wallClock } from './wall-clock.js';

const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** Thirteen months ahead, as whoever keeps the schedule looks again long before; and back, for backfills. */
const HORIZON_MS = 400 * DAY_MS;
/** Two hours of minutes, twice. A cron with seconds may have more; what is above is left out. */
const MOST = 240;

/** Instants (ms) of repeated wall-clock times at which the cron fires, both of each, within thirteen months of now. */
export function repeatedTicks(cron: Cron, timeZone: string, nowMs: number): number[] {
  if (cron.kind === 'every' || timeZone === 'UTC') return [];
  return putBacks(timeZone, nowMs)
    .flatMap(({ atMs, byMs }) => ticksAround(cron.fields, timeZone, atMs, byMs))
    .slice(0, MOST);
}

/** Both passes of the hour: from before the clock goes back to after. */
function ticksAround(fields: CronFields, timeZone: string, atMs: number, byMs: number): number[] {
  const seconds = [...fields.seconds].toSorted((a, b) => a - b);
  const ticks: number[] = [];
  for (let minute = atMs - byMs; minute < atMs + byMs; minute += MINUTE_MS) {
    const wall = wallClock(timeZone, minute);
    if (namesMinute(fields, wall)) ticks.push(...seconds.map((second) => minute + second * 1_000));
  }
  return ticks;
}

interface PutBack {
  /** The instant at which the clock goes back. */
  readonly atMs: number;
  readonly byMs: number;
}

/** Kept by zone and day: every look at every schedule asks. */
const known = new Map<string, readonly PutBack[]>();
const KEPT = 500;

function putBacks(timeZone: string, nowMs: number): readonly PutBack[] {
  const today = Math.floor(nowMs / DAY_MS) * DAY_MS;
  const key = `${timeZone} ${today}`;
  const before = known.get(key);
  if (before !== undefined) return before;
  const found: PutBack[] = [];
  for (let day = today - HORIZON_MS; day < today + HORIZON_MS; day += DAY_MS) {
    const byMs = offsetMs(timeZone, day) - offsetMs(timeZone, day + DAY_MS);
    if (byMs > 0) found.push({ atMs: changeBetween(timeZone, day, day + DAY_MS), byMs });
  }
  if (known.size >= KEPT) known.clear();
  known.set(key, found);
  return found;
}

/** The first minute of the later offset. */
function changeBetween(timeZone: string, fromMs: number, toMs: number): number {
  const before = offsetMs(timeZone, fromMs);
  let low = fromMs / MINUTE_MS;
  let high = toMs / MINUTE_MS;
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (offsetMs(timeZone, middle * MINUTE_MS) === before) low = middle;
    else high = middle;
  }
  return high * MINUTE_MS;
}

const offsetMs = (timeZone: string, atMs: number): number => wallClock(timeZone, atMs).getTime() - atMs;
