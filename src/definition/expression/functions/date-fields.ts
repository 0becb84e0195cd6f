import { ExpressionError } from '../faults.js';

/** A date as a clock on the wall shows it; `offsetMinutes` east of UTC. */
export interface DateFields {
  readonly year: number;
  /** 1-12 */
  readonly month: number;
  readonly day: number;
  /** 0 is Sunday. */
  readonly weekday: number;
  /** 0-23: midnight is hour 0. */
  readonly hour: number;
  readonly minute: number;
  readonly second: number;
  readonly ms: number;
  readonly offsetMinutes: number;
}

export const isUtc = (zone: string): boolean => zone === 'UTC' || zone === 'Z' || zone === 'GMT' || zone === 'Etc/UTC';

export function utcFields(instantMs: number, offsetMinutes = 0): DateFields {
  const date = new Date(instantMs + offsetMinutes * 60_000);
  return {
    year: date.getUTCFullYear(),
    month: date.getUTCMonth() + 1,
    day: date.getUTCDate(),
    weekday: date.getUTCDay(),
    hour: date.getUTCHours(),
    minute: date.getUTCMinutes(),
    second: date.getUTCSeconds(),
    ms: date.getUTCMilliseconds(),
    offsetMinutes,
  };
}

/** The same in a named zone, by Intl: only where stored answers are made, never in the workflow. */
export function zoneFields(instantMs: number, zone: string): DateFields {
  const parts = zoneParts(instantMs, zone);
  const part = (type: string): number => Number(parts.find((each) => each.type === type)?.value);
  const wall = Date.UTC(part('year'), part('month') - 1, part('day'), part('hour'), part('minute'), part('second'));
  return utcFields(instantMs, Math.round((wall - Math.floor(instantMs / 1_000) * 1_000) / 60_000));
}

function zoneParts(instantMs: number, zone: string): readonly { readonly type: string; readonly value: string }[] {
  try {
    const format = new Intl.DateTimeFormat('en-US', {
      timeZone: zone,
      calendar: 'gregory',
      numberingSystem: 'latn',
      hourCycle: 'h23',
      year: 'numeric',
      month: '2-digit',
      day: '2-digit',
      hour: '2-digit',
      minute: '2-digit',
      second: '2-digit',
    });
    return format.formatToParts(instantMs);
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause;
    throw new ExpressionError(`formatDate knows no time zone "${zone.slice(0, 60)}"`, { function: 'formatDate' });
  }
}
