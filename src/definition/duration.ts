/** Durations of the language: milliseconds, or one number and one unit (`"250ms"`, `"90s"`, `"5m"`, `"24h"`, `"7d"`). Pure; may run in the workflow. */
import type { Json } from './value.js';

const UNIT_MS: { readonly [unit: string]: number } = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const TEXT = /^(\d{1,15}(?:\.\d{1,9})?)(ms|s|m|h|d)$/;

/** Ten years: far enough for every wait, near enough that no date overflows. */
export const MAX_DURATION_MS = 3_650 * 86_400_000;

/** @returns milliseconds as a whole number from 0 to ten years, or undefined for anything that is no duration */
export function parseDuration(input: Json | undefined): number | undefined {
  const ms = typeof input === 'number' ? input : typeof input === 'string' ? msOfText(input) : undefined;
  if (ms === undefined || !(ms >= 0 && ms <= MAX_DURATION_MS)) return undefined;
  return Math.round(ms);
}

function msOfText(text: string): number | undefined {
  const match = TEXT.exec(text);
  return match === null ? undefined : Number(match[1]) * (UNIT_MS[match[2] as string] as number);
}

/** The shortest exact text: `90000` → `"90s"`, `86400000` → `"1d"`, `1500` → `"1500ms"`. */
export function formatDuration(ms: number): string {
  for (const unit of ['d', 'h', 'm', 's']) {
    const size = UNIT_MS[unit] as number;
    if (ms >= size && ms % size === 0) return `${ms / size}${unit}`;
  }
  return `${ms}ms`;
}
