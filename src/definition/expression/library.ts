/** The closed library of functions: their names and how many arguments they take. Read by the parser, the docs and the evaluator. */
export interface FunctionSignature {
  readonly min: number;
  readonly max: number;
  /** The second argument is a one-argument arrow function. */
  readonly lambda?: true;
  readonly usage: string;
  readonly gives: string;
}

const one = (usage: string, gives: string): FunctionSignature => ({ min: 1, max: 1, usage, gives });
const two = (usage: string, gives: string): FunctionSignature => ({ min: 2, max: 2, usage, gives });
const lambda = (usage: string, gives: string): FunctionSignature & { readonly lambda: true } => ({
  min: 2,
  max: 2,
  lambda: true,
  usage,
  gives,
});

export const LIBRARY = {
  exists: one('exists(x)', 'whether x is there and not null; no warning when it is missing'),
  length: one('length(text|list|object)', 'its characters, elements or keys; 0 for null or a missing value'),
  contains: two('contains(text|list, x)', 'whether the text has x in it, or the list has x as an element; false for a missing value'),
  startsWith: two('startsWith(text, part)', 'whether the text begins with the part; false for a missing text'),
  endsWith: two('endsWith(text, part)', 'whether the text ends with the part; false for a missing text'),
  lower: one('lower(text)', 'the text in lower case'),
  upper: one('upper(text)', 'the text in upper case'),
  trim: one('trim(text)', 'the text without white space at both ends'),
  split: two('split(text, separator)', 'the list of parts; an empty separator gives single characters'),
  join: {
    min: 1,
    max: 2,
    usage: 'join(list, separator)',
    gives: 'one text, elements written as in mixed text; the separator is "," when left out',
  },
  replace: { min: 3, max: 3, usage: 'replace(text, part, by)', gives: 'the text with every occurrence of the part replaced' },
  number: one('number(x)', 'the number that a text, boolean or number says; anything else is an expression_error'),
  string: one('string(x)', 'x as it stands in mixed text'),
  json: one('json(x)', 'x as compact JSON text'),
  parseJson: one('parseJson(text)', 'the value that a JSON text says'),
  keys: one('keys(object)', 'its keys'),
  values: one('values(object)', 'its values'),
  entries: one('entries(object)', 'a list of [key, value] pairs'),
  get: {
    min: 2,
    max: 3,
    usage: 'get(x, key, default)',
    gives: 'the property or element of a computed key; the default when it is missing or null',
  },
  pick: two('pick(object, keys)', 'the object with only these keys'),
  omit: two('omit(object, keys)', 'the object without these keys'),
  merge: two('merge(a, b)', 'one object; keys of b win; null or a missing value counts as {}'),
  concat: two('concat(a, b)', 'two lists as one, or two texts as one'),
  append: two('append(list, x)', 'the list with x at its end'),
  flatten: one('flatten(list)', 'lists inside the list opened by one level'),
  range: { min: 1, max: 2, usage: 'range(n) or range(from, to)', gives: 'whole numbers from 0 (or from), up to but without n (or to)' },
  first: one('first(list)', 'the first element, missing for an empty list'),
  last: one('last(list)', 'the last element, missing for an empty list'),
  slice: { min: 2, max: 3, usage: 'slice(text|list, from, to)', gives: 'a part; negative positions count from the end' },
  unique: one('unique(list)', 'the list without repeated elements; the first of each stays'),
  sum: one('sum(list)', 'the sum of numbers; 0 for an empty list'),
  min: one('min(list)', 'the smallest number; null for an empty list'),
  max: one('max(list)', 'the largest number; null for an empty list'),
  round: { min: 1, max: 2, usage: 'round(x, digits)', gives: 'x rounded to so many digits (0); halves go up' },
  floor: one('floor(x)', 'the next whole number below'),
  ceil: one('ceil(x)', 'the next whole number above'),
  abs: one('abs(x)', 'x without its sign'),
  now: {
    min: 0,
    max: 0,
    usage: 'now()',
    gives: 'the recorded time of this step as ISO text, the same in the whole step and after a crash',
  },
  formatDate: {
    min: 2,
    max: 3,
    usage: 'formatDate(instant, pattern, zone)',
    gives:
      'a date as text; letters yyyy yy MMMM MMM MM M dd d EEEE EEE HH H hh h mm m ss s SSS a XXX, other text in single quotes; the zone is UTC when left out',
  },
  addDuration: two(
    'addDuration(instant, duration)',
    'a later instant as ISO text; a number of milliseconds may be negative, so may a text such as "-5m"',
  ),
  matches: two('matches(text, pattern)', 'whether a part of the text matches the RE2 pattern; false for a missing text'),
  map: lambda('map(list, x => …)', 'the results'),
  filter: lambda('filter(list, x => …)', 'the elements for which the result is true'),
  find: lambda('find(list, x => …)', 'the first element for which the result is true, else missing'),
  any: lambda('any(list, x => …)', 'whether some result is true'),
  all: lambda('all(list, x => …)', 'whether every result is true'),
  sortBy: lambda(
    'sortBy(list, x => …)',
    'the list in the order of the results; equal ones keep their order; numbers before texts before the rest',
  ),
  groupBy: lambda('groupBy(list, x => …)', 'an object of lists by result'),
} as const satisfies { readonly [name: string]: FunctionSignature };

export type FunctionName = keyof typeof LIBRARY;
export type LambdaName = { [K in FunctionName]: (typeof LIBRARY)[K] extends { readonly lambda: true } ? K : never }[FunctionName];

export const isFunctionName = (name: string): name is FunctionName => Object.hasOwn(LIBRARY, name);
/** Names that no path and no key may have. */
export const isForbiddenName = (name: string): boolean => name === '__proto__' || name === 'prototype' || name === 'constructor';
