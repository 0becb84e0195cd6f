/**
 * A cron expression as Temporal reads it: 5 fields, 6 with a year behind, 7 with seconds before as well, a macro, or `@every`. Stricter
 * than Temporal where it would do something else than the author thinks. Pure.
 */

/** What a field takes; `null` in `years`: every year. */
export interface CronFields {
  readonly seconds: ReadonlySet<number>;
  readonly minutes: ReadonlySet<number>;
  readonly hours: ReadonlySet<number>;
  readonly daysOfMonth: ReadonlySet<number>;
  readonly months: ReadonlySet<number>;
  /** 0 is Sunday. */
  readonly daysOfWeek: ReadonlySet<number>;
  readonly years: ReadonlySet<number> | null;
}
export type Cron =
  | { readonly kind: 'fields'; readonly text: string; readonly fields: CronFields }
  | { readonly kind: 'every'; readonly text: string };
export interface CronFault {
  readonly code: 'invalid_field' | 'schedule_dom_dow';
  readonly message: string;
}

const MACROS: { readonly [macro: string]: string } = {
  '@yearly': '0 0 1 1 *',
  '@annually': '0 0 1 1 *',
  '@monthly': '0 0 1 * *',
  '@weekly': '0 0 * * 0',
  '@daily': '0 0 * * *',
  '@midnight': '0 0 * * *',
  '@hourly': '0 * * * *',
};
const EVERY = /^@every +(?:\d{1,6}[smhd])+(?:\/(?:\d{1,6}[smhd])+)?$/;
const MONTH_NAMES = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];
const DAY_NAMES = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'];
const DAYS_IN_MONTH = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

interface FieldRule {
  readonly name: string;
  readonly min: number;
  readonly max: number;
  readonly names?: readonly string[];
}
const RULES = {
  second: { name: 'second', min: 0, max: 59 },
  minute: { name: 'minute', min: 0, max: 59 },
  hour: { name: 'hour', min: 0, max: 23 },
  dayOfMonth: { name: 'day of month', min: 1, max: 31 },
  month: { name: 'month', min: 1, max: 12, names: MONTH_NAMES },
  /** 7 is Sunday, too. */
  dayOfWeek: { name: 'day of week', min: 0, max: 7, names: DAY_NAMES },
  year: { name: 'year', min: 2000, max: 2100 },
} as const satisfies { readonly [field: string]: FieldRule };

class FieldError extends Error {}

/** The expression, or what is wrong with it. */
export function parseCron(given: string): Cron | CronFault {
  const text = given.trim().replace(/ +/g, ' ');
  if (text.startsWith('@every'))
    return EVERY.test(text) && everyOf(text).everyMs > 0
      ? { kind: 'every', text }
      : invalid('@every takes a duration such as @every 5m, or one with an offset such as @every 1h/10m');
  const expanded = text.startsWith('@') ? MACROS[text.toLowerCase()] : text;
  if (expanded === undefined)
    return invalid(`There is no macro ${text.slice(0, 50)}: expected ${Object.keys(MACROS).join(', ')} or @every <duration>`);
  try {
    return checked(expanded);
  } catch (error) {
    if (error instanceof FieldError) return invalid(error.message);
    throw error;
  }
}

export const isCron = (result: Cron | CronFault): result is Cron => 'kind' in result;

const invalid = (message: string): CronFault => ({ code: 'invalid_field', message });

function checked(text: string): Cron | CronFault {
  const parts = text.split(' ');
  if (parts.length < 5 || parts.length > 7 || text === '')
    return invalid(
      `A cron expression has 5 fields (minute, hour, day of month, month, day of week), a year behind them, and seconds before those; this has ${text === '' ? 0 : parts.length}`,
    );
  const [second, minute, hour, dayOfMonth, month, dayOfWeek, year] = [...(parts.length === 7 ? [] : ['0']), ...parts];
  const fields: CronFields = {
    seconds: setOf(RULES.second, second),
    minutes: setOf(RULES.minute, minute),
    hours: setOf(RULES.hour, hour),
    daysOfMonth: setOf(RULES.dayOfMonth, dayOfMonth),
    months: setOf(RULES.month, month),
    daysOfWeek: new Set([...setOf(RULES.dayOfWeek, dayOfWeek)].map((day) => day % 7)),
    years: year === undefined || year === '*' ? null : setOf(RULES.year, year),
  };
  if (fields.daysOfMonth.size < 31 && fields.daysOfWeek.size < 7) return DOM_DOW;
  if (!everFires(fields)) return invalid('This never fires: none of the months has that day');
  return { kind: 'fields', text: parts.join(' '), fields };
}

/** Classic cron fires when either fits, Temporal when both do, and texts that explain cron say the former. */
const DOM_DOW: CronFault = {
  code: 'schedule_dom_dow',
  message:
    'Day of month and day of week together are not taken: classic cron fires when either fits, Temporal only when both do. Restrict one of them, or make two triggers',
};

const everFires = ({ months, daysOfMonth }: CronFields): boolean =>
  [...months].some((month) => Math.min(...daysOfMonth) <= (DAYS_IN_MONTH[month - 1] ?? 0));

function setOf(rule: FieldRule, text = '*'): Set<number> {
  const values = new Set<number>();
  for (const part of text.split(',')) for (const value of rangeOf(rule, part)) values.add(value);
  return values;
}

/** `*`, `n`, `a-b`, each with `/step`; `n/step` runs from n to the end. */
function rangeOf(rule: FieldRule, part: string): number[] {
  const match = /^([^/]+)(?:\/(\d{1,4}))?$/.exec(part);
  if (match === null) throw new FieldError(`${rule.name}: ${quoted(part)} is no value, range or step`);
  const [, range = '', stepText] = match;
  const step = stepText === undefined ? 1 : Number(stepText);
  if (step < 1 || step > rule.max - rule.min + 1)
    throw new FieldError(`${rule.name}: the step ${String(stepText)} is not from 1 to ${rule.max - rule.min + 1}`);
  const [from, to] = boundsOf(rule, range, stepText !== undefined);
  return Array.from({ length: Math.floor((to - from) / step) + 1 }, (_, index) => from + index * step);
}

function boundsOf(rule: FieldRule, range: string, hasStep: boolean): [number, number] {
  // Sunday is there twice, as 0 and 7; a star means it once.
  const last = rule.name === 'day of week' ? 6 : rule.max;
  if (range === '*') return [rule.min, last];
  const [fromText = '', toText, ...rest] = range.split('-');
  const from = valueOf(rule, fromText);
  const to = toText === undefined ? (hasStep ? last : from) : valueOf(rule, toText);
  if (rest.length > 0) throw new FieldError(`${rule.name}: ${quoted(range)} is no range`);
  if (to < from) throw new FieldError(`${rule.name}: the range ${quoted(range)} ends before it begins`);
  return [from, to];
}

function valueOf(rule: FieldRule, text: string): number {
  const named = rule.names?.indexOf(text.toLowerCase()) ?? -1;
  if (named >= 0) return named + (rule.name === 'month' ? 1 : 0);
  const value = /^\d{1,4}$/.test(text) ? Number(text) : Number.NaN;
  if (text === '?') throw new FieldError(`${rule.name}: write * instead of ?`);
  if (!(value >= rule.min && value <= rule.max))
    throw new FieldError(
      `${rule.name}: ${quoted(text)} is not from ${rule.min} to ${rule.max}${rule.names === undefined ? '' : ` or ${rule.names[0]}-${rule.names.at(-1)}`}`,
    );
  return value;
}

const quoted = (text: string): string => JSON.stringify(text.slice(0, 50));

const UNIT_MS: { readonly [unit: string]: number } = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const spanMs = (text: string): number =>
  [...text.matchAll(/(\d+)([smhd])/g)].reduce((sum, [, count, unit]) => sum + Number(count) * (UNIT_MS[unit ?? ''] ?? 0), 0);

/** How often an `@every` fires, and how long after whole multiples of that since 1970. Pure. */
export function everyOf(text: string): { readonly everyMs: number; readonly offsetMs: number } {
  const [every = '', offset = ''] = text.split('/');
  return { everyMs: spanMs(every), offsetMs: spanMs(offset) };
}

/** The zone under the name that Temporal knows, undefined when there is none. Asks the runtime's own table. */
export function parseTimeZone(given: string): string | undefined {
  // Offsets such as +02:00 are zones for JavaScript alone.
  if (!/^[A-Za-z][A-Za-z0-9_+/-]{0,63}$/.test(given)) return undefined;
  try {
    const resolved = new Intl.DateTimeFormat('en', { timeZone: given }).resolvedOptions().timeZone;
    return resolved.toLowerCase() === given.toLowerCase() ? resolved : given;
  } catch {
    return undefined;
  }
}
