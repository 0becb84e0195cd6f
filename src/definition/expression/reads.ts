/** What an expression or template reads, so that only this much of the scope travels. Pure; may run in the workflow. */
import type { Expr, Root, Template } from '../plan.js';

/** A name of a root; `*` is the whole root. A bare name counts as both `local` and `variables`. */
export interface Read {
  readonly root: Root;
  readonly name: string;
}

type Visit = (read: Read) => void;

/** Each name read, once, in the order in which they stand. */
export function collectReads(...sources: readonly (Expr | Template)[]): Read[] {
  const reads = new Map<string, Read>();
  for (const source of sources) visitReads(source, (read) => reads.set(`${read.root} ${read.name}`, read));
  return [...reads.values()];
}

function visitReads(source: Expr | Template, visit: Visit): void {
  if (source.k === 'expr') visitExpr(source.e, visit, []);
  else if (source.k === 'text') source.parts.forEach((part) => typeof part !== 'string' && visitExpr(part, visit, []));
  else if (source.k === 'list') source.items.forEach((item: Expr | Template) => visitReads(item, visit));
  else if (source.k === 'object') source.entries.forEach(([, entry]: readonly [string, Expr | Template]) => visitReads(entry, visit));
  else visitExpr(source, visit, []);
}

function visitExpr(expr: Expr, visit: Visit, bound: readonly string[]): void {
  if (expr.k === 'path') visitPath(expr, visit, bound);
  else if (expr.k === 'lambda') visitExpr(expr.body, visit, [...bound, expr.param]);
  else for (const child of childrenOf(expr)) visitExpr(child, visit, bound);
}

function visitPath(path: Extract<Expr, { readonly k: 'path' }>, visit: Visit, bound: readonly string[]): void {
  const name = path.segments.length === 0 ? '*' : String(path.segments[0]);
  if (path.root !== null) return visit({ root: path.root, name });
  if (bound.includes(name)) return;
  visit({ root: 'local', name });
  visit({ root: 'variables', name });
}

/** The parts of an expression. */
export function childrenOf(expr: Expr): readonly Expr[] {
  switch (expr.k) {
    case 'lit':
    case 'path':
      return [];
    case 'get':
    case 'unary':
      return [expr.of];
    case 'logic':
    case 'binary':
      return [expr.left, expr.right];
    case 'cond':
      return [expr.test, expr.yes, expr.no];
    case 'list':
      return expr.items;
    case 'object':
      return expr.entries.map(([, value]) => value);
    case 'call':
      return expr.args;
    case 'lambda':
      return [expr.body];
  }
}
