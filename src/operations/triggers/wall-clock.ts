/** Wall clocks of time zones, and what a cron says of them. Pure but for the runtime's zones. */
import type { CronFields } from './cron.js';

/** Whether an expression fires in the minute that this clock (`wallClock`) shows. */
export const namesMinute = (fields: CronFields, wall: Date): boolean =>
  fields.minutes.has(wall.getUTCMinutes()) &&
  fields.hours.has(wall.getUTCHours()) &&
  fields.daysOfMonth.has(wall.getUTCDate()) &&
  fields.months.has(wall.getUTCMonth() + 1) &&
  fields.daysOfWeek.has(wall.getUTCDay()) &&
  (fields.years === null || fields.years.has(wall.getUTCFullYear()));

const formats = new Map<string, Intl.DateTimeFormat>();

/** The wall clock at an instant, as if it were UTC. */
export function wallClock(timeZone: string, atMs: number): Date {
  let format = formats.get(timeZone);
  if (format === undefined) {
    format = new Intl.DateTimeFormat('en-US', {
      timeZone,
      hourCycle: 'h23',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
      second: 'numeric',
    });
    formats.set(timeZone, format);
  }
  const parts = new Map<string, number>(format.formatToParts(atMs).map(({ type, value }) => [type, Number(value)]));
  const part = (type: string): number => parts.get(type) ?? 0;
  return new Date(Date.UTC(part('year'), part('month') - 1, part('day'), part('hour'), part('minute'), part('second')));
}
