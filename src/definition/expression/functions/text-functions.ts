import type * as Re2 from 're2js';
import type { Json } from '../../value.js';
import { areEqual } from '../equality.js';

import { ExpressionError } from '../faults.js';
import { finite } from '../operators.js';
import { jsonText, textOf } from '../text-of.js';
import { type LibraryFunction, isMissing, listArgument, textArgument, wrongArgument } from './arguments.js';

const contains: LibraryFunction = ([container, part], evaluation) => {
  if (isMissing(container)) return false;
  const json = evaluation.read(container);
  if (typeof json === 'string')
    return textArgument('contains', json, evaluation).includes(textArgument('contains in a text', part, evaluation));
  const wanted = evaluation.read(part);
  return listArgument('contains', json, evaluation).some((item) => areEqual(item, wanted, evaluation));
};

const startsWith: LibraryFunction = ([text, part], evaluation) =>
  !isMissing(text) && textArgument('startsWith', text, evaluation).startsWith(textArgument('startsWith', part, evaluation));

const endsWith: LibraryFunction = ([text, part], evaluation) =>
  !isMissing(text) && textArgument('endsWith', text, evaluation).endsWith(textArgument('endsWith', part, evaluation));

function changed(fn: string, change: (text: string) => string): LibraryFunction {
  return ([operand], evaluation) => {
    const text = textArgument(fn, operand, evaluation);
    evaluation.produce(text.length);
    return change(text);
  };
}

const split: LibraryFunction = ([operand, by], evaluation) => {
  const text = textArgument('split', operand, evaluation);
  const separator = textArgument('split', by, evaluation);
  evaluation.produceList(separator === '' ? text.length : occurrences(text, separator) + 1);
  return text.split(separator);
};

const join: LibraryFunction = ([operand, by], evaluation) => {
  const list = listArgument('join', operand, evaluation);
  const separator = by === undefined ? ',' : textArgument('join', by, evaluation);
  evaluation.produce(separator.length * list.length);
  return list.map((item) => textOf(item, evaluation)).join(separator);
};

const replace: LibraryFunction = ([operand, part, by], evaluation) => {
  const text = textArgument('replace', operand, evaluation);
  const wanted = textArgument('replace', part, evaluation);
  const replacement = textArgument('replace', by, evaluation);
  if (wanted === '') return text;
  evaluation.produce(text.length + occurrences(text, wanted) * replacement.length);
  return text.split(wanted).join(replacement);
};

function occurrences(text: string, part: string): number {
  let count = 0;
  for (let at = text.indexOf(part); at !== -1; at = text.indexOf(part, at + part.length)) count += 1;
  return count;
}

const NUMERIC = /^\s*[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?\s*$/;

const number: LibraryFunction = ([operand], evaluation) => {
  const json = evaluation.read(operand);
  if (typeof json === 'number') return json;
  if (typeof json === 'boolean') return json ? 1 : 0;
  const result = typeof json === 'string' && json.length <= 400 && NUMERIC.test(json) ? Number(json) : Number.NaN;
  if (!Number.isFinite(result)) throw wrongArgument('number', 'a number, a boolean or a text that says a number', json);
  return result + 0;
};

const string: LibraryFunction = ([operand], evaluation) => textOf(operand, evaluation);

const json: LibraryFunction = ([operand], evaluation) => {
  const text = jsonText(evaluation.read(operand) ?? null);
  evaluation.produce(text.length);
  return text;
};

const parseJson: LibraryFunction = ([operand], evaluation) => {
  const text = textArgument('parseJson', operand, evaluation);
  evaluation.produce(text.length);
  try {
    return JSON.parse(text, ODD_NUMBER.test(text) ? jsonNumber : undefined) as Json;
  } catch (error) {
    if (error instanceof ExpressionError) throw error;
    throw new ExpressionError('parseJson got a text that is not JSON', { function: 'parseJson' });
  }
};

/** What may be read as a number that JSON could not write again: -0, or one beyond the range. Only such a text pays for a reviver. */
const ODD_NUMBER = /-0|e\+?\d{3}|\d{300}/i;

const jsonNumber = (_key: string, json: Json): Json => (typeof json === 'number' ? finite(json, 'parseJson') : json);

/** RE2 runs in linear time, but slowly: the text is charged for, and the pattern kept small. */
const matches: LibraryFunction = ([operand, by], evaluation) => {
  if (isMissing(operand)) return false;
  const text = textArgument('matches', operand, evaluation);
  const pattern = textArgument('matches', by, evaluation);
  if (pattern.length > MAX_PATTERN)
    throw new ExpressionError(`matches takes a pattern of at most ${MAX_PATTERN} characters`, { limit: 'pattern' });
  evaluation.needActivity('matches');
  evaluation.spend((text.length * (8 + pattern.length)) >> 5);
  return findPattern(pattern, text);
};
const MAX_PATTERN = 500;

function findPattern(pattern: string, text: string): boolean {
  // Loaded here and not above: the workflow bundle must not evaluate it for each workflow.
  // oxlint-disable-next-line typescript/no-require-imports
  const { RE2JS } = require('re2js') as typeof Re2;
  let compiled: ReturnType<typeof RE2JS.compile>;
  try {
    compiled = RE2JS.compile(pattern);
  } catch (error) {
    throw new ExpressionError(`matches got a pattern that RE2 does not take: ${error instanceof Error ? error.message : ''}`, {
      function: 'matches',
    });
  }
  return compiled.matcher(text).find();
}

export const TEXT_FUNCTIONS = {
  contains,
  startsWith,
  endsWith,
  split,
  join,
  replace,
  number,
  string,
  json,
  parseJson,
  matches,
  lower: changed('lower', (text) => text.toLowerCase()),
  upper: changed('upper', (text) => text.toUpperCase()),
  trim: changed('trim', (text) => text.trim()),
} satisfies { readonly [name: string]: LibraryFunction };
