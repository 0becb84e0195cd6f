import * as fc from 'fast-check';
import { compileDefinition } from '../../src/definition/compile/compile.js';
import { evaluate } from '../../src/definition/expression/evaluate.js';
import { ExpressionError, NeedsActivity } from '../../src/definition/expression/faults.js';
import { LIBRARY } from '../../src/definition/expression/library.js';
import { parseExpression } from '../../src/definition/expression/parse.js';
import { canonicalJson } from '../../src/definition/json-check.js';
import { definitionJsonSchema } from '../../src/definition/json-schema.js';
import { createSchemaCheck } from '../../src/definition/output-schema.js';
import { render } from '../../src/definition/template/render.js';
import { parseTextParts, splitTokens, textTemplate } from '../../src/definition/template/parse-template.js';
import type { Json, JsonObject } from '../../src/definition/value.js';
import { aScope } from './builders.js';
import { SET, aDefinition } from './definitions.js';

const FRAGMENTS = [
  ...Object.keys(LIBRARY),
  'a',
  'b.c',
  'outputs',
  'variables.x',
  'loop.item',
  '(',
  ')',
  '[',
  ']',
  '{',
  '}',
  ',',
  '.',
  '0',
  '1',
  '-1',
  '1.5',
  '"t"',
  "'",
  '"',
  '`',
  '=>',
  'x',
  '+',
  '-',
  '*',
  '/',
  '%',
  '==',
  '===',
  '!=',
  '<',
  '>=',
  '&&',
  '||',
  '??',
  '?',
  ':',
  '!',
  ' ',
  'in',
  'null',
  'true',
  'undefined',
  '__proto__',
  'constructor',
  'new',
  'this',
  '${',
  '{{',
  '}}',
  '/*',
  '//',
  '\\',
  '\n',
  '...',
  '?.',
  '=',
  '#',
  '@',
  'é',
  '😀',
  'secrets.K',
  'event.payload',
  '9'.repeat(400),
];
const source = fc.oneof(
  fc.string(),
  fc.string({ unit: 'binary' }),
  fc.array(fc.constantFrom(...FRAGMENTS), { maxLength: 25 }).map((parts) => parts.join('')),
  fc.array(fc.constantFrom(...FRAGMENTS), { maxLength: 25 }).map((parts) => parts.join(' ')),
);

/** Expressions that parse, most of the time. */
const { tree } = fc.letrec<{ tree: string }>((tie) => ({
  tree: fc.oneof(
    { maxDepth: 5, withCrossShrink: true },
    fc.constantFrom(
      'a',
      'b',
      'o',
      'o.k',
      'xs',
      'xs[0]',
      'xs.1.n',
      't',
      't.length',
      'nothing',
      'variables.o["k"]',
      '1',
      '0',
      '-2.5',
      '"text"',
      '""',
      'null',
      'true',
      '[]',
      '{}',
      'now()',
      'outputs',
      'outputs.big',
      '1e300',
    ),
    fc
      .tuple(tie('tree'), fc.constantFrom('+', '-', '*', '/', '%', '==', '!=', '===', '<', '<=', '>', '>=', '&&', '||', 'in'), tie('tree'))
      .map(([left, op, right]) => `(${left} ${op} ${right})`),
    fc.tuple(tie('tree'), tie('tree'), tie('tree')).map(([test, yes, no]) => `(${test} ? ${yes} : ${no})`),
    tie('tree').map((of) => `!(${of})`),
    tie('tree').map((of) => `(${of} ?? "d")`),
    tie('tree').map((of) => `(${of}).k`),
    fc.array(tie('tree'), { maxLength: 3 }).map((items) => `[${items.join(', ')}]`),
    fc.array(tie('tree'), { maxLength: 3 }).map((items) => `{${items.map((item, index) => `k${index}: ${item}`).join(', ')}}`),
    fc
      .constantFrom(...Object.entries(LIBRARY))
      .chain(([name, signature]) =>
        'lambda' in signature
          ? fc.tuple(tie('tree'), tie('tree')).map(([list, body]) => `${name}(${list}, a => ${body})`)
          : fc.array(tie('tree'), { minLength: signature.min, maxLength: signature.max }).map((args) => `${name}(${args.join(', ')})`),
      ),
  ),
}));

const VARIABLES: JsonObject = { a: 5, b: 'text', o: { k: [1, { n: 2 }], z: null }, xs: [{ n: 1 }, { n: 'two' }, null, [3]], t: 'abc' };
const scope = (variables: JsonObject = VARIABLES) =>
  aScope(
    { variables, outputs: { big: { v: null, refs: { '': { ref: 'val_1', bytes: 1, sha256: '', preview: '' } } } } },
    { resolve: () => ({ v: { items: [1] } }) },
  );

describe('parser', () => {
  it('gives a tree or a fault inside the text, whatever the text', () => {
    fc.assert(
      fc.property(source, (text) => {
        const result = parseExpression(text, { secrets: true, event: true });
        return 'expr' in result || (result.fault.at >= 0 && result.fault.at <= text.length && result.fault.message !== '');
      }),
      { numRuns: 3_000 },
    );
  });
  it('gives plain JSON trees', () => {
    fc.assert(
      fc.property(tree, (text) => {
        const result = parseExpression(text);
        if ('expr' in result) expect(JSON.parse(JSON.stringify(result.expr))).toEqual(result.expr);
      }),
      { numRuns: 500 },
    );
  });
  it('splits every text into pieces that make up the text', () => {
    fc.assert(
      fc.property(source, (text) => {
        const joined = splitTokens(text)
          .map((piece) => (piece.kind === 'text' ? piece.text : `{{${piece.source}${piece.isClosed ? '}}' : ''}`))
          .join('');
        expect(joined).toBe(text);
      }),
      { numRuns: 2_000 },
    );
  });
});

describe('evaluator', () => {
  it('throws nothing but its typed errors, changes nothing it reads, and repeats itself', () => {
    const before = JSON.stringify(VARIABLES);
    fc.assert(
      fc.property(fc.oneof(tree, source), fc.constantFrom('host' as const, 'full' as const), (text, mode) => {
        const result = parseExpression(text);
        if (!('expr' in result)) return;
        const once = (): unknown => {
          try {
            return evaluate(result.expr, scope(), mode);
          } catch (error) {
            if (error instanceof ExpressionError || (error instanceof NeedsActivity && mode === 'host')) return error.message;
            throw error;
          }
        };
        const first = once();
        expect(once()).toEqual(first);
        if (typeof first === 'object') expect(JSON.parse(JSON.stringify(first))).toEqual(first);
      }),
      { numRuns: 4_000 },
    );
    expect(JSON.stringify(VARIABLES)).toBe(before);
  });
  it('says the same in both modes wherever the host can say it', () => {
    fc.assert(
      fc.property(tree, (text) => {
        const result = parseExpression(text);
        if (!('expr' in result)) return;
        let host: unknown;
        try {
          host = evaluate(result.expr, scope(), 'host');
        } catch {
          return;
        }
        expect(evaluate(result.expr, scope(), 'full')).toEqual(host);
      }),
      { numRuns: 2_000 },
    );
  });
  it('passes any JSON through a lone token unchanged', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (json) => {
        const { parts } = parseTextParts('{{v}}', {});
        expect(render(textTemplate(parts), scope({ v: json as Json }), 'host')).toEqual({ v: json });
      }),
      { numRuns: 500 },
    );
  });
});

/** The same value with its keys in another order. */
function shuffled(json: Json): Json {
  if (Array.isArray(json)) return (json as readonly Json[]).map(shuffled);
  if (typeof json !== 'object' || json === null) return json;
  return Object.fromEntries(
    Object.entries(json)
      .toReversed()
      .map(([key, value]) => [key, shuffled(value)]),
  );
}

describe('V5 hash', () => {
  const data = fc
    .jsonValue({ maxDepth: 4 })
    .filter((json) => !JSON.stringify(json).includes('__proto__'))
    .map((json) => json as Json);
  it('does not depend on the order of keys', () => {
    fc.assert(
      fc.property(data, (json) => {
        const one = aDefinition([{ id: 'a', type: 'tool', tool: 'a:b', arguments: { x: json, y: 1 } }]);
        expect(compileDefinition(shuffled(one)).hash).toBe(compileDefinition(one).hash);
      }),
      { numRuns: 300 },
    );
  });
  it('tells different values apart', () => {
    fc.assert(
      fc.property(data, data, (left, right) => {
        const isSame = canonicalJson(left) === canonicalJson(right);
        expect(canonicalJson(shuffled(left)) === canonicalJson(right)).toBe(isSame);
      }),
      { numRuns: 500 },
    );
  });
});

describe('compiler', () => {
  const keys = fc.constantFrom(
    'type',
    'id',
    'steps',
    'then',
    'else',
    'cases',
    'when',
    'branches',
    'catch',
    'finally',
    'values',
    'condition',
    'over',
    'name',
    'prompt',
    'timeout',
    'retry',
    'outputSchema',
    'variables',
    'output',
    'x',
    'constructor',
    'toString',
  );
  const { any, step } = fc.letrec<{ any: unknown; step: unknown }>((tie) => ({
    any: fc.oneof(
      { maxDepth: 5 },
      fc.constantFrom<unknown>('set', 'loop', '{{x}}', '{{', 'a.b', '1 +', '5m', 0, 1, null, true),
      fc.dictionary(keys, tie('any'), { maxKeys: 5 }),
      fc.array(tie('any'), { maxLength: 3 }),
      tie('step'),
    ),
    step: fc
      .tuple(
        fc.constantFrom(
          'agent_prompt',
          'tool',
          'bash',
          'notify',
          'approval',
          'conditional',
          'switch',
          'loop',
          'parallel',
          'try',
          'set',
          'wait',
          'wait_for_event',
          'subworkflow',
          'stop',
          'nope',
        ),
        fc.dictionary(keys, tie('any'), { maxKeys: 6 }),
      )
      .map(([type, fields]) => ({ ...fields, type })),
  }));
  it('never throws, and gives a plan or an error, whatever it is given', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          any,
          fc.array(step, { maxLength: 4 }).map((steps) => ({ name: 'x', steps })),
          fc.anything(),
        ),
        (thing) => {
          const { plan, definition, hash, problems } = compileDefinition(thing);
          expect(plan === null).toBe(problems.some(({ severity }) => severity === 'error'));
          expect([definition === null, hash === null]).toEqual([plan === null, plan === null]);
        },
      ),
      { numRuns: 3_000 },
    );
  });
  it('tells an object with a constructor of its own as any other fault', () => {
    const id = Object.assign(Object.create(null) as object, { constructor: { name: Object.create(null) as object } });
    const { problems } = compileDefinition({ name: 'x', steps: [{ id, type: 'agent_prompt' }] });
    expect(problems.map(({ code }) => code)).toContain('invalid_step_id');
  });
  it('takes nothing that its JSON Schema refuses', () => {
    const check = createSchemaCheck(definitionJsonSchema());
    fc.assert(
      fc.property(fc.array(fc.oneof(step, fc.constant(SET)), { minLength: 1, maxLength: 3 }), (steps) => {
        const { definition } = compileDefinition({ name: 'x', steps });
        if (definition !== null) expect(check(definition)).toEqual([]);
      }),
      { numRuns: 1_000 },
    );
  });
});
