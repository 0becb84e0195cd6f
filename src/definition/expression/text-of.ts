import type { Json } from '../value.js';
import type { Evaluation, Operand } from './evaluation.js';
import { Held } from './evaluation.js';
import { ExpressionError } from './faults.js';

/** How a value stands in mixed text: missing → empty, null → "null", objects and lists → JSON. */
export function textOf(operand: Operand, evaluation: Evaluation): string {
  const json = operand instanceof Held ? evaluation.read(operand) : operand;
  const text = json === undefined ? '' : typeof json === 'string' ? json : jsonText(json);
  evaluation.produce(text.length);
  return text;
}

/** Compact JSON. @throws ExpressionError for data nested so deep that the stack would not hold it */
export function jsonText(json: Json): string {
  try {
    return JSON.stringify(json);
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause;
    throw new ExpressionError('The value is nested too deep or too large to be written as JSON', { limit: 'depth' });
  }
}
