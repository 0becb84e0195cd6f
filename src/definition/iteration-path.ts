/** Iteration paths such as `parA:b1/loopA:i0`, outermost container first; `''` at top level (design §3.1). Pure; may run in the workflow. */
export interface PathSegment {
  readonly container: string;
  /** `i<n>`, `b<n>`, `c<n>`, `default`, `then`, `else`, `try`, `catch<n>`, `finally`; n counts from 0. */
  readonly disc: string;
}

const SEGMENT = /^([A-Za-z_][A-Za-z0-9_-]{0,63}):((?:i|b|c|catch)(?:0|[1-9]\d{0,9})|then|else|default|try|finally)$/;

/** A text that is no iteration path. */
export class IterationPathError extends Error {
  readonly code = 'iteration_path_invalid';
  constructor(readonly segment: string) {
    super(`"${segment}" is no segment of an iteration path such as loopA:i0`);
    this.name = 'IterationPathError';
  }
}

/**
 * Reads an iteration path.
 * @returns its segments, none for `''`
 * @throws IterationPathError code iteration_path_invalid, with the segment that does not parse
 */
export function parseIterationPath(path: string): PathSegment[] {
  if (path === '') return [];
  return path.split('/').map((segment) => {
    const match = SEGMENT.exec(segment);
    if (match === null) throw new IterationPathError(segment);
    return { container: match[1] as string, disc: match[2] as string };
  });
}

export const formatIterationPath = (segments: readonly PathSegment[]): string =>
  segments.map(({ container, disc }) => `${container}:${disc}`).join('/');

/** The path of what runs inside a container that itself runs at `path`. */
export const innerPath = (path: string, container: string, disc: string): string =>
  path === '' ? `${container}:${disc}` : `${path}/${container}:${disc}`;

/** Orders paths for readers: segment by segment, numbers as numbers (`l:i2` before `l:i10`), a prefix before what lies in it. */
export function compareIterationPaths(left: string, right: string): number {
  if (left === right) return 0;
  const [a, b] = [left === '' ? [] : left.split('/'), right === '' ? [] : right.split('/')];
  for (let index = 0; index < Math.min(a.length, b.length); index += 1) {
    const order = compareSegments(a[index] as string, b[index] as string);
    if (order !== 0) return order;
  }
  return a.length - b.length;
}

const RANK = ['then', 'else', 'try', 'catch', 'i', 'b', 'c', 'default', 'finally'];

function compareSegments(a: string, b: string): number {
  const [left, right] = [splitSegment(a), splitSegment(b)];
  if (left.container !== right.container) return left.container < right.container ? -1 : 1;
  return RANK.indexOf(left.word) - RANK.indexOf(right.word) || left.n - right.n;
}

function splitSegment(segment: string): { container: string; word: string; n: number } {
  const colon = segment.indexOf(':');
  const disc = segment.slice(colon + 1);
  const word = disc.replace(/\d+$/, '');
  return { container: segment.slice(0, colon), word, n: Number(disc.slice(word.length)) };
}
