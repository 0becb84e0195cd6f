/** The operators that need both sides' values (design §3.2). May run in the workflow. */
import type { BinaryOperator } from '../plan.js';
import { wholeRefOf } from '../value-parts.js';
import type { Json } from '../value.js';
import { areEqual } from './equality.js';
import { type Evaluation, Held, type Operand, kindOf } from './evaluation.js';
import { ExpressionError } from './faults.js';

export function applyBinary(op: BinaryOperator, leftOperand: Operand, rightOperand: Operand, evaluation: Evaluation, at = 0): Json {
  if (op === '==' || op === '===' || op === '!=' || op === '!==')
    return equalityOf(leftOperand, rightOperand, evaluation) === (op === '==' || op === '===');
  const left = leftOperand instanceof Held ? evaluation.read(leftOperand) : leftOperand;
  const right = rightOperand instanceof Held ? evaluation.read(rightOperand) : rightOperand;
  switch (op) {
    case '<':
    case '<=':
    case '>':
    case '>=':
      return compare(op, left, right);
    case '+':
      return add(left, right, evaluation, at);
    case '-':
    case '*':
    case '/':
    case '%':
      return calculate(op, left, right, at);
    case 'in':
      return isIn(left, right, evaluation, at);
  }
}

function equalityOf(left: Operand, right: Operand, evaluation: Evaluation): boolean {
  // A stored value is larger than any null, number or boolean: no need to read it to know.
  if (isStored(left) && isScalar(right)) return false;
  if (isStored(right) && isScalar(left)) return false;
  return areEqual(evaluation.read(left), evaluation.read(right), evaluation);
}

const isStored = (operand: Operand): boolean => operand instanceof Held && wholeRefOf(operand.value) !== undefined;
const isScalar = (operand: Operand): boolean =>
  operand === null || operand === undefined || typeof operand === 'number' || typeof operand === 'boolean';

/** Numbers with numbers, texts with texts (by code unit); every other pair is false. */
function compare(op: '<' | '<=' | '>' | '>=', left: Json | undefined, right: Json | undefined): boolean {
  const comparable = (typeof left === 'number' && typeof right === 'number') || (typeof left === 'string' && typeof right === 'string');
  if (!comparable) return false;
  switch (op) {
    case '<':
      return left < right;
    case '<=':
      return left <= right;
    case '>':
      return left > right;
    case '>=':
      return left >= right;
  }
}

function add(left: Json | undefined, right: Json | undefined, evaluation: Evaluation, at: number): Json {
  if (typeof left === 'number' && typeof right === 'number') return finite(left + right, '+', at);
  if (!isJoinable(left) || !isJoinable(right) || (typeof left !== 'string' && typeof right !== 'string'))
    throw new ExpressionError(
      `+ takes two numbers, or a text with a text, number or boolean; it got ${kindOf(left)} and ${kindOf(right)}`,
      { at },
    );
  const text = String(left) + String(right);
  evaluation.produce(text.length);
  return text;
}

const isJoinable = (json: Json | undefined): json is string | number | boolean =>
  typeof json === 'string' || typeof json === 'number' || typeof json === 'boolean';

function calculate(op: '-' | '*' | '/' | '%', left: Json | undefined, right: Json | undefined, at: number): number {
  if (typeof left !== 'number' || typeof right !== 'number')
    throw new ExpressionError(`${op} takes two numbers; it got ${kindOf(left)} and ${kindOf(right)}`, { at });
  switch (op) {
    case '-':
      return finite(left - right, op, at);
    case '*':
      return finite(left * right, op, at);
    case '/':
      return finite(left / right, op, at);
    case '%':
      return finite(left % right, op, at);
  }
}

/** JSON has no infinity, no NaN and no negative zero: a state that was written and read again must be the same. */
export function finite(result: number, what: string, at = 0): number {
  if (Number.isFinite(result)) return result + 0;
  throw new ExpressionError(`The result of ${what} is not a finite number`, { at });
}

function isIn(left: Json | undefined, right: Json | undefined, evaluation: Evaluation, at: number): boolean {
  if (right === null || right === undefined) return false;
  if (Array.isArray(right)) {
    evaluation.spend(right.length >> 6);
    return (right as readonly Json[]).some((item) => areEqual(item, left, evaluation));
  }
  if (typeof right !== 'object') throw new ExpressionError(`in takes a list or an object on its right; it got ${kindOf(right)}`, { at });
  return (typeof left === 'string' || typeof left === 'number') && Object.hasOwn(right, left);
}

export function applyUnary(op: '!' | '-' | '+', operand: Operand, evaluation: Evaluation, at = 0): Json {
  if (op === '!') return !operand;
  const json = evaluation.read(operand);
  if (typeof json !== 'number') throw new ExpressionError(`${op} takes a number; it got ${kindOf(json)}`, { at });
  return op === '-' ? 0 - json : json;
}
