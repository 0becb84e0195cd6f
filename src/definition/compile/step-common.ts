/** What every step is compiled with. */
import type { z } from 'zod';
import { parseDuration } from '../duration.js';
import type { ParseOptions } from '../expression/parse.js';
import type { Expr, RetryPlan, Template } from '../plan.js';
import type { RetrySchema } from '../schema/steps.js';
import type { JsonObject } from '../value.js';
import { type Compilation, type Place, inside } from './context.js';
import { compileExpression, compileTemplate, constantOf } from './expressions.js';
import { given } from './given.js';

/** One step while it is compiled: its raw document, and short ways to compile its fields where they stand. */
export class StepSource {
  constructor(
    readonly raw: JsonObject,
    readonly place: Place,
    readonly compilation: Compilation,
  ) {}

  at(...path: readonly (string | number)[]): Place {
    return inside(this.place, ...path);
  }

  has(key: string): boolean {
    return this.raw[key] !== undefined;
  }

  expression(key: string, place: Place = this.place, options: ParseOptions = {}): Expr | undefined {
    return this.has(key) ? compileExpression(this.raw[key], inside(place, key), this.compilation, options) : undefined;
  }

  template(key: string, options: ParseOptions = {}): Template | undefined {
    return this.has(key) ? compileTemplate(this.raw[key], this.at(key), this.compilation, options) : undefined;
  }
}

export const NO_TEMPLATE: Template = { k: 'lit', v: null };

interface CommonFields {
  readonly id?: string;
  readonly name?: string;
  readonly description?: string;
  readonly outputVariable?: string;
  readonly timeout?: number | string;
  readonly retry?: z.output<typeof RetrySchema>;
  readonly onError?: 'fail' | 'continue';
}

/** `timeout` is left to approval and wait_for_event, whose deadline it is. */
export function compileCommon(source: StepSource, fields: CommonFields, timeoutIsDeadline: boolean) {
  const when = source.expression('when');
  if (when !== undefined && constantOf(when) === false)
    source.compilation.warn('unreachable_branch', source.at('when'), 'The step never runs: its condition is always false');
  return given({
    id: fields.id ?? '',
    name: fields.name,
    description: fields.description,
    outputVariable: fields.outputVariable,
    when,
    timeoutMs: timeoutIsDeadline ? undefined : msOf(fields.timeout),
    retry: fields.retry === undefined ? undefined : retryPlan(fields.retry),
    onError: fields.onError ?? ('fail' as const),
  });
}

export const msOf = (duration: number | string | undefined): number | undefined => parseDuration(duration);

function retryPlan(retry: z.output<typeof RetrySchema>): RetryPlan {
  const [initialIntervalMs, maxIntervalMs] = [msOf(retry.initialInterval) ?? 1_000, msOf(retry.maxInterval) ?? 60_000];
  return given({
    maxAttempts: retry.maxAttempts,
    initialIntervalMs,
    backoff: retry.backoff,
    maxIntervalMs: Math.max(initialIntervalMs, maxIntervalMs),
    on: retry.on,
  });
}

export const clamp = (value: number, least: number, most: number): number => Math.min(most, Math.max(least, value));
