/** What one run of the bench leaves in bench/results/. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import type { Figure } from './measure.js';

/** 2: a figure may have no floor; load average; `max`. */
const VERSION = 2;

const statistic = z.number();
const SummarySchema = z.object({
  n: statistic,
  p50: statistic,
  p95: statistic,
  mean: statistic,
  min: statistic,
  /** Files of version 1 have none: as if it had not been more than what is known. */
  max: statistic.optional(),
});
const summary = SummarySchema.transform((known) => ({ ...known, max: known.max ?? known.p95 }));

const ResultSchema = z.object({
  version: z.union([z.literal(1), z.literal(VERSION)]).default(1),
  at: z.string(),
  commit: z.string(),
  node: z.string(),
  cores: z.number(),
  quick: z.boolean(),
  /** Over 1, 5 and 15 minutes, before anything was started. */
  load: z.array(z.number()).default([]),
  /** Sections that failed, with why: their figures are missing. */
  failed: z.record(z.string(), z.string()).default({}),
  figures: z.array(
    z.object({
      name: z.string(),
      unit: z.enum(['ms', 'per second', 'MB', 'KB', 'events', 'runs', '×']),
      ours: summary,
      floor: summary.exactOptional(),
      ratio: z.number().exactOptional(),
      goal: z.string().exactOptional(),
    }),
  ),
});
export type Result = z.output<typeof ResultSchema>;

/** Call it before anything is started. */
export function describeRun(quick: boolean): Omit<Result, 'figures' | 'failed'> {
  return {
    version: VERSION,
    at: new Date().toISOString(),
    commit: commit(),
    node: process.version,
    cores: cpus().length,
    quick,
    load: loadavg().map((load) => Math.round(load * 100) / 100),
  };
}

/** @throws when the file is not one of ours */
export function parseResult(text: string): Result {
  return ResultSchema.parse(JSON.parse(text));
}

export const readResult = (file: string): Result => parseResult(readFileSync(file, 'utf8'));

/** @returns the file's path */
export function writeResult(result: Result & { readonly figures: readonly Figure[] }): string {
  const folder = join(__dirname, 'results');
  mkdirSync(folder, { recursive: true });
  const file = join(folder, `${result.at.replaceAll(':', '-')}.json`);
  writeFileSync(file, `${JSON.stringify(result, null, 2)}\n`);
  return file;
}

function commit(): string {
  try {
    return execFileSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  } catch {
    return 'unknown';
  }
}
