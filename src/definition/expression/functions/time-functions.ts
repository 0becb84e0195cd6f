import { parseDuration } from '../../duration.js';
import { formatInstant, parseInstant } from '../../instant.js';
import type { Json } from '../../value.js';
import { type Evaluation, type Operand, kindOf } from '../evaluation.js';
import { ExpressionError } from '../faults.js';
import { type LibraryFunction, textArgument } from './arguments.js';
import { formatPattern } from './date-pattern.js';
import { isUtc, utcFields, zoneFields } from './date-fields.js';

function instantArgument(fn: string, operand: Operand, evaluation: Evaluation): number {
  const json = evaluation.read(operand);
  const ms = parseInstant(json);
  if (ms === undefined)
    throw new ExpressionError(
      `${fn} takes an instant (ISO text or milliseconds); it got ${typeof json === 'string' ? `"${json.slice(0, 40)}"` : kindOf(json)}`,
      { function: fn },
    );
  return ms;
}

const now: LibraryFunction = (_, evaluation) => formatInstant(evaluation.scope.nowMs);

const formatDate: LibraryFunction = ([instant, by, in_], evaluation) => {
  const ms = instantArgument('formatDate', instant, evaluation);
  const pattern = textArgument('formatDate', by, evaluation);
  const zone = in_ === undefined ? 'UTC' : textArgument('formatDate', in_, evaluation);
  evaluation.spend(pattern.length);
  // Zone rules come with the process's ICU data: two workers may differ, so the workflow does not look.
  if (!isUtc(zone)) evaluation.needActivity('time_zone');
  const text = formatPattern(isUtc(zone) ? utcFields(ms) : zoneFields(ms, zone), pattern);
  evaluation.produce(text.length);
  return text;
};

const addDuration: LibraryFunction = ([instant, duration], evaluation) => {
  const ms = instantArgument('addDuration', instant, evaluation) + signedDuration(evaluation.read(duration));
  if (parseInstant(ms) === undefined)
    throw new ExpressionError('addDuration gives an instant outside the calendar', { function: 'addDuration' });
  return formatInstant(ms);
};

function signedDuration(duration: Json | undefined): number {
  const isBack = typeof duration === 'number' ? duration < 0 : typeof duration === 'string' && duration.startsWith('-');
  const size = !isBack ? duration : typeof duration === 'number' ? -duration : (duration as string).slice(1);
  const ms = parseDuration(size);
  if (ms === undefined)
    throw new ExpressionError('addDuration takes a duration such as "5m" or a number of milliseconds', { function: 'addDuration' });
  return isBack ? -ms : ms;
}

export const TIME_FUNCTIONS = { now, formatDate, addDuration } satisfies { readonly [name: string]: LibraryFunction };
