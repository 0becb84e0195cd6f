/** Why an expression gives no value. May run in the workflow. */
import type { Json, Ref } from '../value.js';

export type ExpressionErrorCode = 'expression_error' | 'secret_not_found';

/** The expression itself is at fault: the step fails with `code`. `details` has `limit` when a budget was passed, and `at`, the column from 0. */
export class ExpressionError extends Error {
  constructor(
    message: string,
    readonly details: { readonly [key: string]: Json } = {},
    readonly code: ExpressionErrorCode = 'expression_error',
  ) {
    super(message);
    this.name = 'ExpressionError';
  }
}

/** Mode `host`: only an activity may evaluate this (a stored value, a secret, `matches`, a time zone, a very large result). */
export class NeedsActivity extends Error {
  constructor(readonly reason: 'value' | 'secret' | 'matches' | 'time_zone' | 'size') {
    super(`This expression has to be evaluated in an activity (${reason})`);
    this.name = 'NeedsActivity';
  }
}

/** Mode `full`: load these stored values, then evaluate again. */
export class NeedsValues extends Error {
  constructor(readonly refs: readonly Ref[]) {
    super(`Stored values ${refs.map(({ ref }) => ref).join(', ')} are not loaded`);
    this.name = 'NeedsValues';
  }
}
