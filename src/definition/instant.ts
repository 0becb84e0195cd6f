/** Instants of the language: ISO 8601 text, or milliseconds since 1970. Pure; may run in the workflow. */
import type { Json } from './value.js';

const ISO = /^(\d{4})-(\d{2})-(\d{2})(?:[T ](\d{2}):(\d{2})(?::(\d{2})(?:\.(\d{1,9}))?)?(Z|[+-]\d{2}:?\d{2})?)?$/i;
const MAX_MS = 8_640_000_000_000_000;

/**
 * Reads an instant. A text without offset is UTC: `Date.parse` would take the process's own zone, and reads more than ISO.
 * @returns milliseconds since 1970 UTC, or undefined
 */
export function parseInstant(input: Json | undefined): number | undefined {
  if (typeof input === 'number') return Number.isFinite(input) && Math.abs(input) <= MAX_MS ? Math.round(input) : undefined;
  if (typeof input !== 'string') return undefined;
  const match = ISO.exec(input.trim());
  if (match === null) return undefined;
  const [year, month, day, hour, minute, second] = match.slice(1, 7).map((part) => Number(part ?? 0)) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  const ms = Number(((match[7] ?? '') + '000').slice(0, 3));
  if (hour > 23 || minute > 59 || second > 59) return undefined;
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  if (date.getUTCMonth() !== month - 1 || date.getUTCDate() !== day) return undefined;
  const offset = offsetMs(match[8]);
  return offset === undefined ? undefined : date.setUTCHours(hour, minute, second, ms) - offset;
}

function offsetMs(text: string | undefined): number | undefined {
  if (text === undefined || text === 'Z' || text === 'z') return 0;
  const [hours, minutes] = [Number(text.slice(1, 3)), Number(text.slice(-2))];
  if (hours > 23 || minutes > 59) return undefined;
  return (text.startsWith('-') ? -1 : 1) * (hours * 60 + minutes) * 60_000;
}

/** `2026-03-01T09:00:00.000Z`. */
export const formatInstant = (ms: number): string => new Date(ms).toISOString();
