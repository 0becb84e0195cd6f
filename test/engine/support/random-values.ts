/** Random definitions that hand values on, look into them and go over them: small ones, large ones, references. */
import * as fc from 'fast-check';
import type { Written } from './steps.js';

type Draw = { readonly type: string; readonly [field: string]: unknown };

/** Names that hold something of the shape { n, list, text }, or a list of such. */
const NAMES = ['x', 'object', 'list', 'outputs.t', 'outputs.u', 'outputs.none'] as const;
const name = fc.constantFrom(...NAMES);
const template = name.chain((one) =>
  fc.constantFrom(
    `{{${one}}}`,
    `{{${one}.n}}`,
    `{{[${one}, n]}}`,
    `{{ {a: ${one}} }}`,
    `text {{${one}.text}}`,
    `{{1 / ${one}.n}}`,
    '{{outputs}}',
  ),
);
const list = fc.constantFrom(
  'list',
  'object.list',
  'x.list',
  'outputs.t',
  'outputs.t.list',
  'outputs.u',
  '[1, 2]',
  'range(3)',
  'outputs.l.results',
);
const condition = name.chain((one) => fc.constantFrom(`${one}.n == 1`, `length(${one}.text) > 3`, `exists(${one}.n)`, one));

/** Ids in document order. */
export const randomValueSteps: fc.Arbitrary<Written[]> = fc.array(stepOf(2), { minLength: 1, maxLength: 5 }).map((steps) => withIds(steps));

function stepOf(depth: number): fc.Arbitrary<Draw> {
  const leaves = fc.oneof(
    {
      weight: 5,
      arbitrary: fc.tuple(template, fc.constantFrom('t', 'u', undefined)).map(([text, outputVariable]) => ({
        type: 'tool',
        tool: 'http:request',
        arguments: { text },
        ...(outputVariable === undefined ? {} : { outputVariable }),
      })),
    },
    { weight: 4, arbitrary: fc.tuple(template, template).map(([one, other]) => ({ type: 'set', values: { x: one, y: other } })) },
    {
      weight: 1,
      arbitrary: template.map((text) => ({
        type: 'set',
        values: { x: [text, text, text], big: `{{join(map(range(2000), k => "0123456789"), "")}}` },
      })),
    },
    {
      weight: 1,
      arbitrary: condition.map((match) => ({ type: 'wait_for_event', event: 'go', match, timeout: '80ms', outputVariable: 'u' })),
    },
    { weight: 1, arbitrary: fc.constant({ type: 'wait', duration: '20ms' }) },
  );
  if (depth === 0) return modified(leaves);
  const block = fc.array(stepOf(depth - 1), { minLength: 1, maxLength: 3 });
  return modified(fc.oneof({ weight: 3, arbitrary: leaves }, { weight: 4, arbitrary: container(block) }));
}

function container(block: fc.Arbitrary<Draw[]>): fc.Arbitrary<Draw> {
  return fc.oneof(
    fc.record({ type: fc.constant('conditional'), condition, then: block, else: block }),
    fc.tuple(condition, block, block).map(([when, one, other]) => ({ type: 'switch', cases: [{ when, steps: one }], default: other })),
    fc.record(
      {
        type: fc.constant('loop'),
        over: list,
        steps: block,
        concurrency: fc.constantFrom(1, 2, 5),
        onItemError: fc.constantFrom('fail', 'continue'),
        collect: fc.oneof(name, fc.constantFrom('loop.item', 'loop.item.text', '1 / (loop.index - 2)', 'outputs')),
        until: fc.oneof(fc.constant('false'), condition),
        outputVariable: fc.constant('l'),
      },
      { requiredKeys: ['type', 'over', 'steps', 'concurrency', 'onItemError'] },
    ),
    fc.tuple(condition, block).map(([holds, steps]) => ({ type: 'loop', while: `loop.index < 2 && (${holds})`, maxIterations: 3, steps })),
    fc
      .tuple(fc.array(block, { minLength: 1, maxLength: 3 }), fc.constantFrom('all', 'any'), fc.constantFrom('fail', 'continue'))
      .map(([branches, wait, onBranchError]) => ({
        type: 'parallel',
        branches: branches.map((steps, index) => ({ id: `b${index}`, steps })),
        wait,
        onBranchError,
      })),
    fc.tuple(block, block, fc.option(block)).map(([steps, handler, last]) => ({
      type: 'try',
      steps,
      catch: [{ codes: ['*'], as: 'x', steps: handler }],
      ...(last === null ? {} : { finally: last }),
    })),
  );
}

function modified(steps: fc.Arbitrary<Draw>): fc.Arbitrary<Draw> {
  const more = fc.record(
    {
      timeout: fc.constantFrom('30ms', '1s'),
      retry: fc.constant({ maxAttempts: 2, initialInterval: 30, on: ['*'] }),
      onError: fc.constant('continue'),
      when: condition,
    },
    { requiredKeys: [] },
  );
  return fc
    .tuple(steps, fc.oneof({ weight: 3, arbitrary: fc.constant({}) }, { weight: 1, arbitrary: more }))
    .map(([step, extra]) => ({ ...extra, ...step }));
}

function withIds(steps: readonly Draw[]): Written[] {
  let count = 0;
  const named = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(named);
    if (typeof value !== 'object' || value === null) return value;
    const isStep = 'type' in value && typeof value.type === 'string';
    const id = isStep ? { id: `s${(count += 1)}` } : {};
    return { ...Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, named(inner)])), ...id };
  };
  return steps.map((step) => named(step) as Written);
}
