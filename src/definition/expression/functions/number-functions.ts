import type { Evaluation, Operand } from '../evaluation.js';
import { ExpressionError } from '../faults.js';
import { finite } from '../operators.js';
import { type LibraryFunction, listArgument, numberArgument, wholeNumberArgument, wrongArgument } from './arguments.js';

function numbersOf(fn: string, operand: Operand, evaluation: Evaluation): readonly number[] {
  const list = listArgument(fn, operand, evaluation);
  const other = list.find((item) => typeof item !== 'number');
  if (other !== undefined) throw wrongArgument(fn, 'a list of numbers', other);
  return list as readonly number[];
}

/** Not Math.min(...list): a long list would not fit on the stack. */
function extreme(fn: string, wins: (candidate: number, best: number) => boolean): LibraryFunction {
  return ([operand], evaluation) => {
    let best: number | null = null;
    for (const number of numbersOf(fn, operand, evaluation)) if (best === null || wins(number, best)) best = number;
    return best;
  };
}

const sum: LibraryFunction = ([operand], evaluation) =>
  finite(
    numbersOf('sum', operand, evaluation).reduce((total, number) => total + number, 0),
    'sum',
  );

const round: LibraryFunction = ([operand, places], evaluation) => {
  const number = numberArgument('round', operand, evaluation);
  const digits = places === undefined ? 0 : wholeNumberArgument('round', places, evaluation);
  if (digits < 0 || digits > 15) throw new ExpressionError('round takes 0 to 15 digits', { function: 'round' });
  return rounded(number, digits);
};

/** Shifts the decimal point in the text: 1.005 * 100 would already be wrong. */
function rounded(number: number, digits: number): number {
  if (digits === 0 || Math.abs(number) >= 1e15) return Math.round(number) + 0;
  const [mantissa, exponent = '0'] = String(number).split('e') as [string, string?];
  const shifted = Math.round(Number(`${mantissa}e${Number(exponent) + digits}`));
  return Number(`${shifted}e-${digits}`) + 0;
}

function mapped(fn: string, change: (number: number) => number): LibraryFunction {
  return ([operand], evaluation) => change(numberArgument(fn, operand, evaluation)) + 0;
}

export const NUMBER_FUNCTIONS = {
  sum,
  round,
  min: extreme('min', (candidate, best) => candidate < best),
  max: extreme('max', (candidate, best) => candidate > best),
  floor: mapped('floor', Math.floor),
  ceil: mapped('ceil', Math.ceil),
  abs: mapped('abs', Math.abs),
} satisfies { readonly [name: string]: LibraryFunction };
