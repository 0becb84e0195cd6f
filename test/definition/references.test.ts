import { evaluate, evaluateCondition, evaluateText } from '../../src/definition/expression/evaluate.js';
import { NeedsActivity, NeedsValues } from '../../src/definition/expression/faults.js';
import { collectReads } from '../../src/definition/expression/reads.js';
import { sliceReader } from '../../src/definition/scope.js';
import { render } from '../../src/definition/template/render.js';
import type { Json, Ref, Value } from '../../src/definition/value.js';
import { wholeRef } from '../../src/definition/value.js';
import { aRef, aScope, anExpr } from './builders.js';
import { aStep } from './definitions.js';

const BIG = aRef('val_big');
const OTHER = aRef('val_other');
const outputs = { big: wholeRef(BIG), part: { v: { list: [1, null, 3], name: 'n' }, refs: { '/list/1': OTHER } }, small: 5 } satisfies {
  [name: string]: Json | Value;
};
const stored: { [ref: string]: Value } = { val_big: { v: { items: [10, 20], name: 'stored' } }, val_other: { v: [7, 8] } };
const host = aScope({ outputs });
const full = aScope({ outputs }, { resolve: (ref: Ref) => stored[ref.ref] });

describe('mode host never reads a stored value', () => {
  it.each<readonly [string, Value | undefined]>([
    ['outputs.big', wholeRef(BIG)],
    ['outputs.part.list[1]', wholeRef(OTHER)],
    ['[outputs.big, 1]', { v: [null, 1], refs: { '/0': BIG } }],
    ['{a: outputs.big, b: outputs.part}', { v: { a: null, b: outputs.part.v }, refs: { '/a': BIG, '/b/list/1': OTHER } }],
    ['outputs.big ?? 1', wholeRef(BIG)],
    ['outputs.missing ?? outputs.big', wholeRef(BIG)],
    ['outputs.big || 1', wholeRef(BIG)],
    ['outputs.big && 2', { v: 2 }],
    ['!outputs.big', { v: false }],
    ['outputs.big ? 1 : 2', { v: 1 }],
    ['exists(outputs.big)', { v: true }],
    ['outputs.big == null', { v: false }],
    ['outputs.big != null', { v: true }],
    ['outputs.big == 5', { v: false }],
    ['length(outputs.part.list)', { v: 3 }],
    ['outputs.part.list.length', { v: 3 }],
    ['last(outputs.part.list)', { v: 3 }],
    ['outputs.part.name', { v: 'n' }],
    ['get(outputs.part.list, 1)', wholeRef(OTHER)],
    ['first(slice([outputs.small], 0))', { v: 5 }],
    ['outputs["big"]', wholeRef(BIG)],
    ['get(outputs, "big")', wholeRef(BIG)],
  ])('%s needs no reading', (source, expected) => {
    expect(evaluate(anExpr(source), host, 'host')).toEqual(expected);
  });
  it.each([
    'outputs.big.items',
    'outputs.part.list[1][0]',
    'outputs.big == "x"',
    'length(outputs.big)',
    'outputs.big + "x"',
    'json(outputs.part)',
    'map(outputs.part.list, x => x)',
    '"x" in outputs.big',
    'string(outputs.big)',
    '[1] == outputs.part.list',
    'outputs.big < 1',
    'matches("a", "a")',
    'formatDate(now(), "HH", "Europe/Berlin")',
  ])('%s asks for an activity', (source) => {
    expect(() => evaluate(anExpr(source), host, 'host')).toThrow(NeedsActivity);
  });
  it('formats dates in UTC by itself', () => {
    expect(evaluate(anExpr('formatDate(now(), "HH:mm", "UTC")'), host, 'host')).toEqual({ v: '09:05' });
  });
  it('leaves very large results to an activity', () => {
    expect(() => evaluate(anExpr('json(range(90000))'), host, 'host')).not.toThrow(NeedsValues);
    expect(() => evaluate(anExpr('range(200000)'), host, 'host')).toThrow(NeedsActivity);
  });
});

describe('mode full reads what is loaded', () => {
  it.each<readonly [string, Json]>([
    ['outputs.big.items[1]', 20],
    ['sum(outputs.big.items)', 30],
    ['length(outputs.big)', 2],
    ['outputs.part.list[1][0]', 7],
    ['flatten(outputs.part.list)', [1, 7, 8, 3]],
    ['outputs.big.nothing ?? "d"', 'd'],
    ['json(outputs.part.list)', '[1,[7,8],3]'],
    ['get(outputs.big, "name")', 'stored'],
    ['outputs.big == {name: "stored", items: [10, 20]}', true],
    ['map(outputs.part.list, x => x)[1]', [7, 8]],
  ])('%s gives %j', (source, expected) => {
    expect(evaluate(anExpr(source), full, 'full')).toEqual({ v: expected });
  });
  it('asks for the value that is not loaded, by reference', () => {
    let error: unknown;
    try {
      evaluate(anExpr('outputs.big.items'), aScope({ outputs }, { resolve: () => undefined }), 'full');
    } catch (caught) {
      error = caught;
    }
    expect(error).toBeInstanceOf(NeedsValues);
    expect((error as NeedsValues).refs).toEqual([BIG]);
  });
  it('asks at once for all that a list stands upon, and for what stands in stored values', () => {
    const list = { list: { v: [null, 1, null], refs: { '/0': BIG, '/2': OTHER } } };
    const inner: Value = { v: { a: null }, refs: { '/a': OTHER } };
    const needed = (source: string, loaded: { readonly [ref: string]: Value }): readonly Ref[] | undefined => {
      try {
        evaluate(anExpr(source), aScope({ outputs: list }, { resolve: ({ ref }) => loaded[ref] }), 'full');
      } catch (error) {
        return error instanceof NeedsValues ? error.refs : undefined;
      }
      return [];
    };
    expect(needed('json(outputs.list)', {})).toEqual([BIG, OTHER]);
    expect(needed('outputs.list[0].a', { val_big: inner })).toEqual([]);
    expect(needed('outputs.list[0].a.b', { val_big: inner })).toEqual([OTHER]);
    expect(needed('json(outputs.list)', { val_big: inner, val_other: { v: [7] } })).toEqual([]);
  });
  it('reads through stored values that stand upon others, and passes on unread what it need not read', () => {
    const scope = aScope(
      { outputs: { big: wholeRef(BIG) } },
      { resolve: ({ ref }) => (ref === 'val_big' ? { v: { rows: [null, { n: 2 }] }, refs: { '/rows/0': OTHER } } : { v: { n: 1 } }) },
    );
    expect(evaluate(anExpr('map(outputs.big.rows, row => row.n)'), scope, 'full')).toEqual({ v: [1, 2] });
    expect(evaluate(anExpr('outputs.big.rows[0].n'), scope, 'full')).toEqual({ v: 1 });
    expect(evaluate(anExpr('outputs.big.rows'), scope, 'full')).toEqual({ v: [null, { n: 2 }], refs: { '/0': OTHER } });
  });
  it('passes a lone token on unread all the same', () => {
    expect(evaluate(anExpr('outputs.big'), full, 'full')).toEqual(wholeRef(BIG));
  });
});

describe('X6 templates', () => {
  const variables = { a: 'text', n: 5, l: [1, [2]], o: { k: 'v' }, nul: null, t: true, x: 2 };
  const rendered = (value: Json): Value => {
    const [, template] = aStep('set', { values: { r: value } }).values[0] as readonly [string, Parameters<typeof render>[0]];
    return render(template, aScope({ variables, outputs }, {}), 'host');
  };
  it.each<readonly [Json, Json]>([
    ['{{n}}', 5],
    ['{{l}}', [1, [2]]],
    ['{{o}}', { k: 'v' }],
    ['{{nul}}', null],
    ['{{t}}', true],
    ['{{missing}}', null],
    ['{{ n }}', 5],
    [' {{n}}', ' 5'],
    ['{{n}} ', '5 '],
    ['{{a}}{{n}}', 'text5'],
    ['{{l}}|{{o}}|{{nul}}|{{missing}}|{{t}}', '[1,[2]]|{"k":"v"}|null||true'],
    ['x{{a.b.c}}', 'x'],
    ['plain', 'plain'],
    [5, 5],
    [null, null],
    [true, true],
    [[], []],
    [{}, {}],
    [{ deep: [{ er: ['{{n}}', 'n={{n}}', 7] }] }, { deep: [{ er: [5, 'n=5', 7] }] }],
    ['{{ {k: n, s: "}}"} }}', { k: 5, s: '}}' }],
    ['{{{k: 1}}}', { k: 1 }],
    ['{{ "{{" }}', '{{'],
    ['a } b }} c', 'a } b }} c'],
    ['{ {n} }', '{ {n} }'],
    ["{{ 'it' }}'s", "it's"],
    ['{{n}}}', '5}'],
    ['', ''],
    [{ '{{n}}': 1 }, { '{{n}}': 1 }],
    ['{{ x > 1 ? "many" : "one" }}', 'many'],
    ['{{\n  n\n}}', 5],
  ])('%j renders to %j', (template, expected) => {
    expect(rendered(template)).toEqual({ v: expected });
  });
  it('passes references on, at any depth', () => {
    expect(rendered('{{outputs.big}}')).toEqual(wholeRef(BIG));
    expect(rendered({ a: ['{{outputs.big}}', '{{outputs.part}}'] })).toEqual({
      v: { a: [null, outputs.part.v] },
      refs: { '/a/0': BIG, '/a/1/list/1': OTHER },
    });
  });
  it('asks for an activity when a reference stands in mixed text', () => {
    expect(() => rendered('See {{outputs.big}}')).toThrow(NeedsActivity);
  });
  it('writes one token as text for a shell word', () => {
    expect(evaluateText(anExpr('o'), aScope({ variables }), 'host')).toBe('{"k":"v"}');
    expect(evaluateText(anExpr('nothing'), aScope({ variables }), 'host')).toBe('');
  });
  it('takes a 5 MB value in a text', () => {
    const scope = aScope({ outputs }, { resolve: () => ({ v: 'x'.repeat(5_000_000) }) });
    expect(evaluateText(anExpr('outputs.big'), scope, 'full')).toHaveLength(5_000_000);
    expect(evaluateCondition(anExpr('contains(outputs.big, "y")'), scope, 'full')).toBe(false);
  });
});

describe('reads', () => {
  it('names each root and name once; a bare name may be local or a variable', () => {
    expect(
      collectReads(anExpr('outputs.a.b + outputs["c-d"] + x + variables.x + map(ys, y => y.z + x).length + loop.item + trigger.type')),
    ).toEqual([
      { root: 'outputs', name: 'a' },
      { root: 'outputs', name: 'c-d' },
      { root: 'local', name: 'x' },
      { root: 'variables', name: 'x' },
      { root: 'local', name: 'ys' },
      { root: 'variables', name: 'ys' },
      { root: 'loop', name: 'item' },
      { root: 'variables', name: '_trigger' },
    ]);
  });
  it('asks for a whole root where it is read as such', () => {
    expect(collectReads(anExpr('keys(outputs)'))).toEqual([{ root: 'outputs', name: '*' }]);
  });
  it('walks templates, secrets included', () => {
    const step = aStep('tool', {
      tool: 'a:b',
      arguments: { h: ['{{secrets.K}}', 'x{{outputs.a}}{{outputs.b}}'], o: '{{ {p: [execution.id]} }}' },
    });
    expect(collectReads(step.arguments)).toEqual([
      { root: 'secrets', name: 'K' },
      { root: 'outputs', name: 'a' },
      { root: 'outputs', name: 'b' },
      { root: 'execution', name: 'id' },
    ]);
  });
  it('is enough: a slice of what is read gives the same value', () => {
    const expr = anExpr('outputs.a.b + x');
    const slice = { outputs: { a: { v: { b: 1 } } }, variables: { x: { v: 2 } } };
    expect(evaluate(expr, sliceReader(slice, 0), 'host')).toEqual({ v: 3 });
    expect(sliceReader(slice, 0).names('outputs')).toEqual(['a']);
    expect(sliceReader(slice, 0).get('outputs', 'toString')).toBeUndefined();
    expect(sliceReader(slice, 0).get('local', 'x')).toBeUndefined();
  });
});
