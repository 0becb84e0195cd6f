import type { FunctionName, LambdaName } from '../library.js';
import type { LibraryFunction } from './arguments.js';
import { LIST_FUNCTIONS } from './list-functions.js';
import { NUMBER_FUNCTIONS } from './number-functions.js';
import { OBJECT_FUNCTIONS } from './object-functions.js';
import { TEXT_FUNCTIONS } from './text-functions.js';
import { TIME_FUNCTIONS } from './time-functions.js';

type PlainName = Exclude<FunctionName, LambdaName>;

/** Every function of the library that takes no arrow function; a name of library.ts without one does not compile. */
const REGISTRY: { readonly [name in PlainName]: LibraryFunction } = {
  ...TEXT_FUNCTIONS,
  ...LIST_FUNCTIONS,
  ...OBJECT_FUNCTIONS,
  ...NUMBER_FUNCTIONS,
  ...TIME_FUNCTIONS,
};

export const plainFunction = (name: string): LibraryFunction | undefined =>
  Object.hasOwn(REGISTRY, name) ? REGISTRY[name as PlainName] : undefined;
