import { ExpressionError } from '../faults.js';
import type { DateFields } from './date-fields.js';

const MONTHS = ['January', 'February', 'March', 'April', 'May', 'June', 'July', 'August', 'September', 'October', 'November', 'December'];
const DAYS = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'];
/** Quoted text, a run of one letter, or anything else. */
const TOKEN = /'((?:[^']|'')*)'|([A-Za-z])\2*|[^A-Za-z']+|'/g;

const padded = (number: number, width: number): string => String(number).padStart(width, '0');
const hour12 = (hour: number): number => hour % 12 || 12;

const LETTERS: { readonly [letters: string]: (fields: DateFields) => string } = {
  yyyy: ({ year }) => padded(year, 4),
  yy: ({ year }) => padded(year % 100, 2),
  MMMM: ({ month }) => MONTHS[month - 1] as string,
  MMM: ({ month }) => (MONTHS[month - 1] as string).slice(0, 3),
  MM: ({ month }) => padded(month, 2),
  M: ({ month }) => String(month),
  dd: ({ day }) => padded(day, 2),
  d: ({ day }) => String(day),
  EEEE: ({ weekday }) => DAYS[weekday] as string,
  EEE: ({ weekday }) => (DAYS[weekday] as string).slice(0, 3),
  HH: ({ hour }) => padded(hour, 2),
  H: ({ hour }) => String(hour),
  hh: ({ hour }) => padded(hour12(hour), 2),
  h: ({ hour }) => String(hour12(hour)),
  mm: ({ minute }) => padded(minute, 2),
  m: ({ minute }) => String(minute),
  ss: ({ second }) => padded(second, 2),
  s: ({ second }) => String(second),
  SSS: ({ ms }) => padded(ms, 3),
  a: ({ hour }) => (hour < 12 ? 'AM' : 'PM'),
  XXX: ({ offsetMinutes }) => (offsetMinutes === 0 ? 'Z' : offset(offsetMinutes)),
};

function offset(minutes: number): string {
  const size = Math.abs(minutes);
  return `${minutes < 0 ? '-' : '+'}${padded(Math.floor(size / 60), 2)}:${padded(size % 60, 2)}`;
}

/** Writes a date by the letters of Unicode TR 35; other text in single quotes, `''` for one quote. A literal T needs none between digits: `yyyy-MM-ddTHH:mm`. */
export function formatPattern(fields: DateFields, pattern: string): string {
  return pattern.replace(TOKEN, (token: string, quoted: string | undefined, letter: string | undefined) => {
    if (quoted !== undefined) return quoted === '' ? "'" : quoted.replaceAll("''", "'");
    if (letter === undefined || token === 'T') return token;
    const write = LETTERS[token];
    if (write === undefined)
      throw new ExpressionError(`formatDate does not know "${token}" in the pattern; put text in single quotes`, {
        function: 'formatDate',
      });
    return write(fields);
  });
}
