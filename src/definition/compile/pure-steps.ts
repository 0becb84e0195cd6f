/** Steps that run nothing and contain nothing: set, wait, wait_for_event, stop. */
import { parseDuration } from '../duration.js';
import { parseInstant } from '../instant.js';
import type { SetPlan, StopPlan, WaitForEventPlan, WaitPlan } from '../plan.js';
import type { Lenient } from '../schema/lenient-parse.js';
import type { SetSchema, StopSchema, WaitForEventSchema, WaitSchema } from '../schema/steps.js';
import type { Json } from '../value.js';
import { compileTemplate } from './expressions.js';
import { given } from './given.js';
import { NO_TEMPLATE, type StepSource, compileCommon, msOf } from './step-common.js';

export function compileSet(source: StepSource, fields: Lenient<typeof SetSchema>): SetPlan {
  const common = compileCommon(source, fields, false);
  const values = Object.entries(fields.values ?? {}).map(
    ([name, value]) => [name, compileTemplate(value, source.at('values', name), source.compilation)] as const,
  );
  return given({ ...common, type: 'set' as const, values });
}

export function compileWait(source: StepSource, fields: Lenient<typeof WaitSchema>): WaitPlan {
  const { duration, until } = fields;
  requireOneOf(source, 'duration', 'until');
  if (isFixed(duration) && parseDuration(duration) === undefined)
    source.compilation.error(
      'duration_invalid',
      source.at('duration'),
      'duration: expected a number of milliseconds, or one number and one unit (ms, s, m, h, d) such as "90s"',
    );
  if (isFixed(until) && parseInstant(until) === undefined)
    source.compilation.error('invalid_field', source.at('until'), 'until: expected an instant such as 2026-03-01T09:00:00Z');
  return given({
    ...compileCommon(source, fields, false),
    type: 'wait' as const,
    duration: source.template('duration'),
    until: source.template('until'),
  });
}

const isFixed = (value: Json | undefined): boolean => value !== undefined && !(typeof value === 'string' && value.includes('{{'));

/** Exactly one of two fields: neither is a missing field, both an invalid one. */
export function requireOneOf(source: StepSource, first: string, second: string): void {
  if (source.has(first) && source.has(second))
    source.compilation.error('invalid_field', source.at(second), `${first} and ${second} exclude each other`);
  if (!source.has(first) && !source.has(second))
    source.compilation.error('missing_field', source.at(first), `${first} or ${second} is missing`);
}

export function compileWaitForEvent(source: StepSource, fields: Lenient<typeof WaitForEventSchema>): WaitForEventPlan {
  return given({
    ...compileCommon(source, fields, true),
    type: 'wait_for_event' as const,
    event: source.template('event') ?? NO_TEMPLATE,
    match: source.expression('match', source.place, { event: true }),
    deadlineMs: msOf(fields.timeout),
  });
}

export function compileStop(source: StepSource, fields: Lenient<typeof StopSchema>): StopPlan {
  return given({
    ...compileCommon(source, fields, false),
    type: 'stop' as const,
    outcome: fields.outcome ?? ('completed' as const),
    message: source.template('message'),
    output: source.template('output'),
  });
}
