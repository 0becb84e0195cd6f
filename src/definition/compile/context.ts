/** What is carried along while a definition is compiled: the problems found, and what expressions at a place may see. */
import type { ExpressionFault } from '../expression/parse-fault.js';
import { type Segment, toPointer } from '../pointer.js';
import type { Problem, ProblemCode } from '../problem.js';
import type { Json } from '../value.js';

/** One fault, as the tool's own schema tells it. */
export interface ArgumentFault {
  readonly code: 'missing_field' | 'invalid_field' | 'unknown_field';
  /** Within the arguments. */
  readonly path: readonly Segment[];
  readonly message: string;
  /** Of an unknown name: those that there are. */
  readonly known?: readonly string[];
}

/** Tells a tool's faults. Pure. */
export type ArgumentFaults = (tool: string, args: Json) => readonly ArgumentFault[];

export interface CompileContext {
  /** Ids of all registered tools; without it tools are not looked up. */
  readonly tools?: ReadonlySet<string> | undefined;
  /** Ids of those that declare themselves light; without it none is. */
  readonly lightTools?: ReadonlySet<string> | undefined;
  /** Without it arguments of tools are not looked at. */
  readonly argumentFaults?: ArgumentFaults | undefined;
  /** Ids and slugs that a subworkflow may name; without it they are not looked up. */
  readonly workflows?: ReadonlySet<string> | undefined;
  /** Hash by version already saved for this workflow. */
  readonly usedVersions?: ReadonlyMap<string, string> | undefined;
}

/** The names published on the way to a place; those of a branch are seen inside it only, until it is over. */
export class Published {
  readonly #own = new Set<string>();
  constructor(readonly outer: Published | undefined) {}

  add(names: Iterable<string>): void {
    for (const name of names) this.#own.add(name);
  }

  has(name: string): boolean {
    return this.#own.has(name) || this.outer?.has(name) === true;
  }
}

/** A place in the document: where it is, what may be read there. */
export interface Place {
  readonly path: readonly Segment[];
  readonly stepId: string | undefined;
  readonly published: Published;
  /** itemVar, indexVar and `as` names around. */
  readonly locals: readonly string[];
  readonly depth: number;
  /** Of a list of steps: position of the first one in the document. */
  readonly from?: number;
}

export const inside = (place: Place, ...segments: readonly Segment[]): Place => ({ ...place, path: [...place.path, ...segments] });

/** Problems beyond this many are counted, not listed: a hostile document could have a million. */
const MAX_PROBLEMS = 1_000;
/** Searches for the nearest name: each looks at hundreds of names. */
const MAX_SEARCHES = 30;
/** More would not fit in a plan. */
const MAX_EXPRESSIONS = 25_000;

interface More {
  /** A function when it costs a search: called only for problems that are listed. */
  readonly suggestion?: string | undefined | (() => string | undefined);
  readonly column?: number;
}

export class Compilation {
  readonly #problems: Problem[] = [];
  #left = 0;
  #searches = 0;
  #expressions = 0;
  constructor(
    readonly context: CompileContext,
    /** Names declared in the root's `variables`. */
    readonly declared: ReadonlySet<string>,
    /** Names that are variables: declared, or set by some step. */
    readonly variables: ReadonlySet<string>,
    /** Names that some step publishes. */
    readonly outputs: ReadonlySet<string>,
  ) {}

  get problems(): readonly Problem[] {
    if (this.#left === 0) return this.#problems;
    return [
      ...this.#problems,
      { code: 'malformed_definition', severity: 'error', path: '', message: `There are ${this.#left} more problems` },
    ];
  }

  get hasErrors(): boolean {
    return this.#left > 0 || this.#problems.some(({ severity }) => severity === 'error');
  }

  error(code: ProblemCode, place: Place, message: string, more: More = {}): void {
    this.#add('error', code, place, message, more);
  }

  warn(code: ProblemCode, place: Place, message: string, more: More = {}): void {
    this.#add('warning', code, place, message, more);
  }

  fault(fault: ExpressionFault, place: Place, offset = 0): void {
    const column = fault.at + offset + 1;
    const code = fault.isMisplacedSecret === true ? 'invalid_field' : 'expression_parse_error';
    this.error(code, place, `${fault.message} (column ${column})`, { column, suggestion: fault.suggestion });
  }

  #search(hint: () => string | undefined): string | undefined {
    this.#searches += 1;
    return this.#searches > MAX_SEARCHES ? undefined : hint();
  }

  /** Whether so many more expressions may be parsed; the first refusal is a problem. */
  takeExpressions(count: number, place: Place): boolean {
    const had = this.#expressions;
    this.#expressions += count;
    if (this.#expressions <= MAX_EXPRESSIONS) return true;
    if (had <= MAX_EXPRESSIONS) this.error('definition_too_large', place, `The definition has more than ${MAX_EXPRESSIONS} expressions`);
    return false;
  }

  #add(severity: Problem['severity'], code: ProblemCode, place: Place, message: string, { suggestion: hint, column }: More): void {
    if (this.#problems.length >= MAX_PROBLEMS) {
      if (severity === 'error') this.#left += 1;
      return;
    }
    const suggestion = typeof hint === 'function' ? this.#search(hint) : hint;
    this.#problems.push({
      code,
      severity,
      path: toPointer(place.path),
      message,
      ...(place.stepId === undefined ? {} : { stepId: place.stepId }),
      ...(suggestion === undefined ? {} : { suggestion }),
      ...(column === undefined ? {} : { column }),
    });
  }
}
