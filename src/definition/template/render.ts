/** Fills a compiled template. Pure; may run in the workflow. */
import { evaluate, evaluateText } from '../expression/evaluate.js';
import type { Mode } from '../expression/evaluation.js';
import type { Template } from '../plan.js';
import type { ScopeReader } from '../scope.js';
import { listValue, objectValue } from '../value-parts.js';
import { NULL_VALUE, type Value } from '../value.js';

/**
 * The value of a template. A lone token keeps the type of its expression (missing → null) and passes references on unread;
 * in mixed text missing → empty, null → "null", objects and lists → JSON.
 * @throws as evaluate: ExpressionError, NeedsActivity (`host`), NeedsValues (`full`)
 */
export function render(template: Template, scope: ScopeReader, mode: Mode): Value {
  switch (template.k) {
    case 'lit':
      return { v: template.v };
    case 'expr':
      return evaluate(template.e, scope, mode) ?? NULL_VALUE;
    case 'text':
      return { v: template.parts.map((part) => (typeof part === 'string' ? part : evaluateText(part, scope, mode))).join('') };
    case 'list':
      return listValue(template.items.map((item) => render(item, scope, mode)));
    case 'object':
      return objectValue(template.entries.map(([key, entry]) => [key, render(entry, scope, mode)] as const));
  }
}
