import { evaluate, evaluateCondition } from '../../src/definition/expression/evaluate.js';
import { ExpressionError } from '../../src/definition/expression/faults.js';
import { parseExpression } from '../../src/definition/expression/parse.js';
import type { Json } from '../../src/definition/value.js';
import { aScope, anExpr, faultOf, valueOf } from './builders.js';

type Variables = { readonly [name: string]: Json };
type Case = readonly [source: string, expected: Json | undefined, variables?: Variables];

const gives = (cases: readonly Case[]): void => {
  for (const [source, expected, variables = {}] of cases) {
    it(`${source} gives ${JSON.stringify(expected)}`, () => {
      expect(valueOf(source, variables)).toEqual(expected);
    });
  }
};

describe('X1 equality and comparison', () => {
  gives([
    ['"5" == 5', false],
    ['5 === 5', true],
    ['"a" > 1', false],
    ['null < 1', false],
    ['5 == 5', true],
    ['"5" === "5"', true],
    ['null == missing', true],
    ['missing === null', true],
    ['null != missing', false],
    ['0 == null', false],
    ['"" == null', false],
    ['false == null', false],
    ['0 == false', false],
    ['1 == true', false],
    ['"b" > "a"', true],
    ['"B" < "a"', true],
    ['"10" < "9"', true],
    ['1 < "2"', false],
    ['"2" > 1', false],
    ['true > false', false],
    ['[1, 2] == [1, 2]', true],
    ['[1, 2] == [2, 1]', false],
    ['{a: 1, b: 2} == {b: 2, a: 1}', true],
    ['{a: 1} == {a: 2}', false],
    ['[] == {}', false],
    ['{a: null} == {a: null}', true],
    ['a != b', true, { a: 1, b: 2 }],
    ['a !== b', false, { a: 1, b: 1 }],
    ['1 <= 1', true],
    ['2 >= 3', false],
    ['"ä" > "z"', true],
    ['null <= null', false],
  ]);
});

describe('X2 missing values', () => {
  gives([
    ['a.b.c', undefined, { a: {} }],
    ['!a.b || a.b.length === 0', true, { a: {} }],
    ['nothing', undefined],
    ['a.b', undefined, { a: 5 }],
    ['a[3]', undefined, { a: [1] }],
    ['a.b.c', undefined, { a: null }],
    ['a.length', 2, { a: [1, 2] }],
    ['a.length', 3, { a: 'abc' }],
    ['a.length', undefined, { a: {} }],
    ['a[0]', 'x', { a: 'xyz' }],
    ['undefined == missing', true],
    ['missing ? 1 : 2', 2],
    ['a.toString', undefined, { a: {} }],
    ['a.hasOwnProperty', undefined, { a: {} }],
    ['a.map', undefined, { a: [] }],
    ['[missing, 1]', [null, 1]],
    ['{a: missing}', { a: null }],
  ]);
  const warned = (source: string, variables: Variables): string[] => {
    const paths: string[] = [];
    const scope = aScope({ variables, outputs: {} }, { onMissing: (path) => paths.push(path) });
    evaluate(anExpr(source), scope, 'host');
    return paths;
  };
  it.each([
    ['a.b.c', ['a.b.c']],
    ['outputs.m', ['outputs.m']],
    ['variables.q["x-y"][0]', ['variables.q["x-y"][0]']],
    ['[a.b, a.b, a.c]', ['a.b', 'a.c']],
    ['map(xs, x => x.q)', ['x.q']],
  ])('%s tells of the missing paths %j, each once', (source, expected) => {
    expect(warned(source, { a: {}, xs: [1, 2, 3] })).toEqual(expected);
  });
  it.each(['exists(a.b)', 'a.b ?? 1', 'a.b == null', 'null != a.b', 'length(a.b)', 'a'])(
    '%s asks for missing or is there: no warning',
    (source) => {
      expect(warned(source, { a: {} })).toEqual([]);
    },
  );
});

describe('X3 precedence', () => {
  gives([
    ['true || false && false', true],
    ['!(1 > 2)', true],
    ['1 + 2 * 3', 7],
    ['-2 < -1', true],
    ['x ?? "d"', 0, { x: 0 }],
    ['(1 + 2) * 3', 9],
    ['10 - 2 - 3', 5],
    ['2 * 3 % 4', 2],
    ['-x', -3, { x: 3 }],
    ['- -3', 3],
    ['!x', true, { x: '' }],
    ['!!x', true, { x: [] }],
    ['1 < 2 == true', true],
    ['a ? b : c ? d : e', 5, { a: 0, b: 1, c: 0, d: 4, e: 5 }],
    ['"n" + 1 + 2', 'n12'],
    ['1 + 2 + "n"', '3n'],
    ['x || "d"', 'd', { x: 0 }],
    ['x && y', 0, { x: 0, y: 1 }],
    ['(a || b) && c', 3, { a: 0, b: 2, c: 3 }],
    ['missing ?? null ?? 1', 1],
    ['false ?? 1', false],
    ['+x', 3, { x: 3 }],
    ['"a" + true', 'atrue'],
  ]);
});

describe('X4 paths', () => {
  const outputs = {
    'my-step': { list: ['first', 'second'] },
    list: [['deep', 'x'], { '0': 'zero' }],
    o: { '0': 'key', a: { '1': [7, [8, 9]] } },
  };
  it.each<readonly [string, Json | undefined]>([
    ['outputs["my-step"].list[0]', 'first'],
    ["outputs['my-step'].list[1]", 'second'],
    ['outputs["my-step"].list.0', 'first'],
    ['outputs.list.0', ['deep', 'x']],
    ['outputs.list.0.1', 'x'],
    ['outputs.list.0[1]', 'x'],
    ['outputs.list[0].1', 'x'],
    ['outputs.list[1].0', 'zero'],
    ['outputs.o.0', 'key'],
    ['outputs.o["0"]', 'key'],
    ['outputs.list["0"].0', 'deep'],
    ['outputs.o.a.1.1.0', 8],
    ['outputs.list.0.length', 2],
    ['outputs.list.9', undefined],
    ['first(outputs.list).0', 'deep'],
    ['outputs.list . 0', ['deep', 'x']],
    ['outputs.list.0 == outputs.list[0]', true],
    ['outputs.list.0.0 + .5', 'deep0.5'],
    ['true ? .5 : 1', 0.5],
    ['1.5 + 0.25', 1.75],
    ['[.5, 1.0]', [0.5, 1]],
    ['outputs.list.length * .5', 1],
    ['keys(outputs)', ['my-step', 'list', 'o']],
  ])('%s gives %j', (source, expected) => {
    expect(evaluate(anExpr(source), aScope({ outputs }), 'host')?.v).toEqual(expected);
  });
  it('reads a bare name as a lambda parameter, then a local name, then a variable', () => {
    const scope = aScope({ variables: { x: 'variable', y: 'variable' }, local: { x: 'local' } });
    expect(evaluate(anExpr('[x, y, first(map([1], x => x)), variables.x]'), scope, 'host')?.v).toEqual([
      'local',
      'variable',
      1,
      'variable',
    ]);
  });
  it('reads trigger as variables._trigger', () => {
    expect(valueOf('trigger.type', { _trigger: { type: 'webhook' } })).toBe('webhook');
  });
  it('reads event as a root only where it is one', () => {
    const scope = aScope({ variables: { event: { name: 'v' } }, event: { name: 'e' } });
    expect(evaluate(anExpr('event.name'), scope, 'host')?.v).toBe('v');
    expect(evaluate(anExpr('event.name', { event: true }), scope, 'host')?.v).toBe('e');
  });
});

describe('X7 functions', () => {
  const xs = [
    { n: 1, g: 'a' },
    { n: 3, g: 'b' },
    { n: 2, g: 'a' },
  ];
  gives([
    ['sum(map(xs, x => x.n))', 6, { xs }],
    ['filter(xs, x => x.n > 1)', [xs[1] as Json, xs[2] as Json], { xs }],
    ['map(sortBy(xs, x => x.n), x => x.n)', [1, 2, 3], { xs }],
    ['join(["a", 1, null, {a: 1}], "-")', 'a-1-null-{"a":1}'],
    ['join([1, 2])', '1,2'],
    ['formatDate(now(), "yyyy-MM-dd")', '2026-03-01'],
    ['exists(a)', true, { a: 0 }],
    ['exists(a)', false, { a: null }],
    ['exists(q)', false],
    ['exists(a.b)', true, { a: { b: '' } }],
    ['length("abc")', 3],
    ['length([1, 2])', 2],
    ['length({a: 1})', 1],
    ['length(null)', 0],
    ['length(q)', 0],
    ['contains("abc", "b")', true],
    ['contains([1, [2]], [2])', true],
    ['contains([1], 2)', false],
    ['contains(q, 1)', false],
    ['startsWith("abc", "ab")', true],
    ['startsWith(q, "a")', false],
    ['endsWith("abc", "bc")', true],
    ['endsWith(q, "a")', false],
    ['lower("ÄB")', 'äb'],
    ['upper("äb")', 'ÄB'],
    ['trim("  a ")', 'a'],
    ['split("a,b", ",")', ['a', 'b']],
    ['split("ab", "")', ['a', 'b']],
    ['replace("aXbX", "X", "$&")', 'a$&b$&'],
    ['replace("a", "", "b")', 'a'],
    ['number("12.5")', 12.5],
    ['number(" -3e2 ")', -300],
    ['number(true)', 1],
    ['number(7)', 7],
    ['string(1.5)', '1.5'],
    ['string(null)', 'null'],
    ['string(q)', ''],
    ['string([1])', '[1]'],
    ['json({a: [1, "x"]})', '{"a":[1,"x"]}'],
    ['json("a")', '"a"'],
    ['json(q)', 'null'],
    ['parseJson("{\\"a\\":1}").a', 1],
    ['keys(o)', ['b', 'a'], { o: { b: 1, a: 2 } }],
    ['values(o)', [1, 2], { o: { b: 1, a: 2 } }],
    ['entries(o)', [['b', 1]], { o: { b: 1 } }],
    ['get(o, "b")', 1, { o: { b: 1 } }],
    ['get(o, k)', 1, { o: { b: 1 }, k: 'b' }],
    ['get([5, 6], 1)', 6],
    ['get(o, "z", 9)', 9, { o: {} }],
    ['get(o, "z", 9)', 9, { o: { z: null } }],
    ['get(q, "z")', undefined],
    ['pick(o, ["a", "z"])', { a: 2 }, { o: { b: 1, a: 2 } }],
    ['omit(o, ["a"])', { b: 1 }, { o: { b: 1, a: 2 } }],
    ['merge({a: 1, b: 1}, {b: 2})', { a: 1, b: 2 }],
    ['merge(q, {b: 2})', { b: 2 }],
    ['concat([1], [2])', [1, 2]],
    ['concat("a", "b")', 'ab'],
    ['append([1], [2])', [1, [2]]],
    ['append([], q)', [null]],
    ['flatten([1, [2, [3]]])', [1, 2, [3]]],
    ['range(3)', [0, 1, 2]],
    ['range(2, 4)', [2, 3]],
    ['range(4, 2)', []],
    ['range(0)', []],
    ['range(-1, 1)', [-1, 0]],
    ['first([7, 8])', 7],
    ['last([7, 8])', 8],
    ['first([])', undefined],
    ['last(q)', undefined],
    ['slice([1, 2, 3], 1)', [2, 3]],
    ['slice([1, 2, 3], -2, -1)', [2]],
    ['slice("abc", 1, 2)', 'b'],
    ['unique([1, "1", 1, {a: 1}, {a: 1}, null, null, true])', [1, '1', { a: 1 }, null, true]],
    ['sum([])', 0],
    ['min([3, 1, 2])', 1],
    ['max([3, 1, 2])', 3],
    ['min([])', null],
    ['round(1.5)', 2],
    ['round(-1.5)', -1],
    ['round(1.005, 2)', 1.01],
    ['round(1234.5678, 1)', 1234.6],
    ['round(1e-7, 3)', 0],
    ['floor(-1.5)', -2],
    ['ceil(1.2)', 2],
    ['abs(-3)', 3],
    ['now()', '2026-03-01T09:05:07.008Z'],
    ['addDuration(now(), "1d")', '2026-03-02T09:05:07.008Z'],
    ['addDuration("2026-03-01", "-1h")', '2026-02-28T23:00:00.000Z'],
    ['addDuration(0, 1500)', '1970-01-01T00:00:01.500Z'],
    ['addDuration(now(), -8)', '2026-03-01T09:05:07.000Z'],
    ['now() < addDuration(now(), "1s")', true],
    ['formatDate(now(), "EEEE d MMMM yyyy, HH:mm:ss.SSS XXX")', 'Sunday 1 March 2026, 09:05:07.008 Z'],
    ['formatDate("2026-12-24T00:30:00Z", "h:mm a \'o\'\'clock\' EEE MMM")', "12:30 AM o'clock Thu Dec"],
    ['formatDate("2026-07-01T22:30:00Z", "yyyy-MM-ddTHH:mmXXX", "Europe/Berlin")', '2026-07-02T00:30+02:00'],
    ['formatDate("2026-01-01T03:00:00Z", "dd HH XXX", "America/New_York")', '31 22 -05:00'],
    ['formatDate("2026-01-01T00:00:00+05:30", "HH:mm", "UTC")', '18:30'],
    ['formatDate(0, "H yy M")', '0 70 1'],
    ['matches("release-1.2", "^release-\\\\d+\\\\.\\\\d+$")', true],
    ['matches("abc", "b")', true],
    ['matches("abc", "^b")', false],
    ['matches(q, "b")', false],
    ['find(xs, x => x.g == "b").n', 3, { xs }],
    ['find(xs, x => x.n > 9)', undefined, { xs }],
    ['any(xs, x => x.n > 2)', true, { xs }],
    ['any([], x => true)', false],
    ['any(q, x => true)', false],
    ['all(xs, x => x.n > 0)', true, { xs }],
    ['all([], x => false)', true],
    ['keys(groupBy(xs, x => x.g))', ['a', 'b'], { xs }],
    ['groupBy(xs, x => x.g).a[1].n', 2, { xs }],
    ['sortBy(["b", 2, null, "a", 1, true], x => x)', [1, 2, 'a', 'b', true, null]],
    ['map([[1, 2], [3]], x => sum(map(x, y => y * length(x))))', [6, 3]],
    [
      'map(xs, x => ({n: x.n, big: x.n > y}))',
      [
        { n: 1, big: false },
        { n: 3, big: true },
        { n: 2, big: false },
      ],
      { xs, y: 2 },
    ],
    ['filter([1, 2, 3], x => x in [1, 3])', [1, 3]],
  ]);
  it('changes nothing of what it reads', () => {
    const variables = { xs: [{ n: 2 }, { n: 1 }], o: { a: { b: 1 } } };
    const before = JSON.stringify(variables);
    for (const source of [
      'sortBy(xs, x => x.n)',
      'append(xs, 1)',
      'merge(o, {a: 2})',
      'omit(o, ["a"])',
      'concat(xs, xs)',
      'groupBy(xs, x => x.n)',
    ])
      valueOf(source, variables);
    expect(JSON.stringify(variables)).toBe(before);
  });
  it.each([
    ['lower(1)', 'lower takes a text; it got a number'],
    ['sum(["a"])', 'sum takes a list of numbers'],
    ['map(q, x => x)', 'map takes a list; it got nothing'],
    ['number("12px")', 'number takes'],
    ['parseJson("{")', 'not JSON'],
    ['formatDate("soon", "yyyy")', 'takes an instant'],
    ['formatDate(now(), "QQ")', 'does not know "QQ"'],
    ['formatDate(now(), "HH", "Mars/Base")', 'no time zone'],
    ['addDuration(now(), "1 week")', 'takes a duration'],
    ['matches("a", "(")', 'RE2'],
    ['range(1.5)', 'a whole number'],
    ['round(1, 99)', '0 to 15'],
    ['keys([1])', 'keys takes an object'],
    ['get({}, "__proto__")', '__proto__'],
    ['slice(5, 1)', 'slice takes'],
    ['length(5)', 'length takes'],
  ])('%s fails with expression_error', (source, message) => {
    expect(() => valueOf(source)).toThrow(ExpressionError);
    expect(() => valueOf(source)).toThrow(message);
  });
});

describe('X8 hostile expressions', () => {
  it.each<readonly [string, number]>([
    ['constructor', 0],
    ['a["__proto__"]', 2],
    ['a.prototype', 2],
    ['a.b.constructor', 4],
    ['`x${a}`', 0],
    ['this', 0],
    ['new X()', 0],
    ['a[b]', 2],
    ['nosuch(1)', 0],
    ['a.constructor()', 2],
    ['x => x', 0],
    ['a = 1', 0],
    ['a++', 0],
    ['a, b', 0],
    ['(() => 1)()', 1],
    ['function () {}', 0],
    ['async x => x', 0],
    ['import("x")', 0],
    ['/a+/', 0],
    ['1n', 0],
    ['a?.b', 0],
    ['[...a]', 1],
    ['{...a}', 1],
    ['typeof a', 0],
    ['a ** 2', 0],
    ['a instanceof b', 0],
    ['a | b', 0],
    ['{__proto__: 1}', 1],
    ['{"constructor": 1}', 1],
    ['{get a() { return 1 }}', 1],
    ['{[a]: 1}', 1],
    ['map(a, b)', 7],
    ['map(a, (x, y) => x)', 7],
    ['map(a, x => { return x })', 7],
    ['map(a, async x => x)', 7],
    ['map(a, ({x}) => x)', 7],
    ['map(a)', 0],
    ['now(1)', 0],
    ['a.includes(1)', 2],
    ['secrets', 0],
    ['secrets.a.b', 0],
    ['list[-1]', 5],
    ['delete a.b', 0],
    ['1e999', 0],
    ['a#b', 1],
    ['yield', 0],
    ['await x', 0],
    ['class {}', 0],
    ['super.x', 0],
    ['a ?? b || c', 7],
    ['eval("1")', 0],
    ['x.y.0z', 4],
    ['map(a, constructor => 1)', 7],
  ])('%s is refused at column %d', (source, at) => {
    expect(faultOf(source).at).toBe(at);
  });
  it.each([
    ['a.includes(1)', 'Write contains(text|list, x)'],
    ['lenght(a)', 'Did you mean "length"?'],
    ['a[b]', 'Use get(x, key) for a computed key'],
    ['a?.b', 'Write a plain dot: a missing path is no error'],
    ['list[-1]', 'Use last(list) or slice(list, -2)'],
  ])('%s is refused with the hint %j', (source, suggestion) => {
    expect(faultOf(source).suggestion).toBe(suggestion);
  });
  it('takes a property named __proto__ of the data for data, and never a prototype', () => {
    const hostile = JSON.parse('{"__proto__": {"admin": true}, "a": 1}') as Json;
    expect(valueOf('o.admin', { o: hostile })).toBeUndefined();
    expect(valueOf('merge(o, {b: 1}).admin', { o: hostile })).toBeUndefined();
    expect(valueOf('omit(o, ["a"]).admin', { o: hostile })).toBeUndefined();
    expect(valueOf('groupBy(["__proto__"], x => x).length', {})).toBeUndefined();
    expect(({} as { admin?: boolean }).admin).toBeUndefined();
  });
});

describe('X9 syntax errors', () => {
  it.each<readonly [string, number]>([
    ['(1 + 2', 6],
    ['"abc', 0],
    ['1 +', 3],
    ['a.', 2],
    ['', 0],
    ['   ', 0],
    ['a b', 2],
    ['1 + * 2', 4],
    ['a..b', 2],
    ['[1, 2', 5],
    ['a ? b', 5],
    [')', 0],
    ['{a: }', 4],
    ['foo(', 4],
    ['"\\u00"', 3],
  ])('%j is refused at column %d', (source, at) => {
    expect(faultOf(source).at).toBe(at);
  });
});

describe('X10 bounds', () => {
  it.each([
    ['length(range(10000000))', 'output'],
    ['map(range(200000), x => x)', 'operations'],
    ['map(range(900), x => map(range(900), y => 1))', 'operations'],
    ['join(range(100000), json(range(1000)))', 'output'],
    ['replace(json(range(100000)), "1", json(range(1000)))', 'output'],
    ['matches(s, "(a+)+(b+)+$") || matches(s, "a") || matches(s, "b")', 'operations'],
  ])('%s is an expression_error that names the limit', (source, limit) => {
    const started = Date.now();
    let error: unknown;
    try {
      valueOf(source, { s: 'c'.repeat(300_000) });
    } catch (caught) {
      error = caught;
    }
    expect(error).toBeInstanceOf(ExpressionError);
    expect((error as ExpressionError).details['limit']).toBe(limit);
    expect(Date.now() - started).toBeLessThan(1_000);
  });
  it('answers matches(s, "(a+)+$") on 50,000 a\'s within a second', () => {
    const started = Date.now();
    expect(valueOf('matches(s, "(a+)+$")', { s: 'a'.repeat(50_000) })).toBe(true);
    expect(valueOf('matches(s, "(a+)+$")', { s: `${'a'.repeat(50_000)}!` })).toBe(false);
    expect(Date.now() - started).toBeLessThan(2_000);
  });
  it.each([
    ['parentheses', `${'('.repeat(1_000)}1${')'.repeat(1_000)}`],
    ['lists', `${'['.repeat(1_000)}${']'.repeat(1_000)}`],
    ['negations', `${'!'.repeat(3_900)}a`],
    ['signs', `${'- '.repeat(1_900)}a`],
    ['sums', Array.from({ length: 1_000 }, () => 'a').join('+')],
    ['ternaries', `${'a?b:'.repeat(900)}c`],
    ['calls', `${'abs('.repeat(900)}1${')'.repeat(900)}`],
    ['too long', `a${' '.repeat(4_000)}`],
    ['arrows', `${'map(a,x=>'.repeat(300)}1${')'.repeat(300)}`],
    ['chains of ??', Array.from({ length: 900 }, () => 'a').join('??')],
  ])('refuses 1,000 nested %s', (_, source) => {
    expect(faultOf(source).message).toMatch(/nested deeper|at most 4000/);
  });
  it('takes a path of a thousand segments', () => {
    expect(valueOf(`a${'.b'.repeat(1_500)}`, { a: {} })).toBeUndefined();
  });
  it('compares and writes data nested far deeper than the stack allows with a typed error', () => {
    const deep = JSON.parse(`${'['.repeat(200_000)}${']'.repeat(200_000)}`) as Json;
    expect(() => valueOf('a == b', { a: deep, b: JSON.parse(`${'['.repeat(200_000)}${']'.repeat(200_000)}`) as Json })).toThrow(
      ExpressionError,
    );
    expect(() => valueOf('json(a)', { a: deep })).toThrow(ExpressionError);
    expect(valueOf('length(a)', { a: deep })).toBe(1);
  });
  it('runs a condition and a set ten thousand times well under a second', () => {
    const [condition, set] = [anExpr('variables.n < 10000 && outputs.a.list[1] != null'), anExpr('n + 1')];
    let n = 0;
    const scope = {
      nowMs: 0,
      names: () => [],
      get: (root: string, name: string) => (root === 'outputs' ? { v: { list: [1, 2] } } : name === 'n' ? { v: n } : undefined),
    };
    const started = Date.now();
    while (evaluateCondition(condition, scope, 'host')) n = evaluate(set, scope, 'host')?.v as number;
    expect(n).toBe(10_000);
    expect(Date.now() - started).toBeLessThan(500);
  });
});

describe('X11 arithmetic', () => {
  it.each([
    '1 / 0',
    '5 % 0',
    '{} + 1',
    '0 / 0',
    '[] + 1',
    '"a" + null',
    'missing + 1',
    'null + null',
    'true + 1',
    '"a" * 2',
    '"3" - 1',
    '-"3"',
    '+"3"',
    '-null',
    '1e308 * 10',
    '"a" + {}',
    '"a" + missing',
    'parseJson("1e999")',
  ])('%s fails with expression_error', (source) => {
    expect(() => valueOf(source)).toThrow(ExpressionError);
  });
  it.each(['0 / -2.5', '-0', '0 * -1', '-1 % 1', 'number("-0")', 'parseJson("-0")', 'ceil(-0.5)', 'round(-0.2)', 'sum([parseJson("-0")])'])(
    '%s is 0 and no negative zero, which JSON would lose',
    (source) => {
      expect(Object.is(valueOf(source), 0)).toBe(true);
    },
  );
  it('names the column in details', () => {
    let error: unknown;
    try {
      valueOf('1 + (2 / 0)');
    } catch (caught) {
      error = caught;
    }
    expect((error as ExpressionError).details).toEqual({ at: 5 });
  });
});

describe('X12 time', () => {
  gives([
    ['now() == now()', true],
    ['formatDate(now(), "HH:mm")', '09:05'],
  ]);
});

describe('X13 secrets', () => {
  it('may be read only where the field allows it, by their name', () => {
    expect(faultOf('secrets.K')).toMatchObject({ isMisplacedSecret: true, at: 0 });
    expect(parseExpression('secrets.K', { secrets: true })).toHaveProperty('expr');
  });
  it('are resolved in mode full only', () => {
    const expr = anExpr('"Bearer " + secrets.K', { secrets: true });
    expect(evaluate(expr, aScope({}, { secret: () => 's3' }), 'full')?.v).toBe('Bearer s3');
    expect(() => evaluate(expr, aScope({}), 'host')).toThrow('has to be evaluated in an activity');
  });
  it('are an error of their own code when there is none', () => {
    let error: unknown;
    try {
      evaluate(anExpr('secrets.K', { secrets: true }), aScope(), 'full');
    } catch (caught) {
      error = caught;
    }
    expect(error).toMatchObject({ code: 'secret_not_found', details: { name: 'K' } });
  });
});

describe('X14 in', () => {
  gives([
    ['"a" in list', true, { list: ['a'] }],
    ['"k" in obj', true, { obj: { k: null } }],
    ['"toString" in obj', false, { obj: {} }],
    ['"z" in list', false, { list: ['a'] }],
    ['0 in list', false, { list: ['a'] }],
    ['{a: 1} in list', true, { list: [{ a: 1 }] }],
    ['"a" in missing', false],
    ['1 in {"1": 2}', true],
    ['null in [missing]', true],
  ]);
  it('does not search texts', () => {
    expect(() => valueOf('"a" in "abc"')).toThrow(ExpressionError);
  });
});
