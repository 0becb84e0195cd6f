import { compileDefinition } from '../../src/definition/compile/compile.js';
import type { Json, JsonObject } from '../../src/definition/value.js';
import { SET, aDefinition, problemsOf } from './definitions.js';

const codesOf = (data: unknown): string[] => compileDefinition(data).problems.map(({ code, severity }) => `${severity} ${code}`);

function nested(levels: number): JsonObject {
  let step: JsonObject = { type: 'set', values: {} };
  for (let level = 0; level < levels; level += 1) step = { type: 'conditional', condition: '_x', then: [step] };
  return step;
}

describe('documents that are none', () => {
  const cycle: { [key: string]: unknown } = { name: 'c', steps: [] };
  (cycle['steps'] as unknown[]).push(cycle);
  it.each<readonly [string, unknown]>([
    ['null', null],
    ['a text', 'x'],
    ['a list', []],
    ['a number', 5],
    ['nothing', undefined],
    ['a function', () => 1],
    ['a function inside', { name: 'x', steps: [() => 1] }],
    ['NaN', { name: 'x', steps: [{ type: 'wait', duration: Number.NaN }] }],
    ['a bigint', { name: 'x', steps: [1n] }],
    ['a date', { name: 'x', steps: [{ type: 'wait', until: new Date() }] }],
    ['a map', { name: 'x', steps: [], output: new Map() }],
    ['undefined in a list', { name: 'x', steps: [undefined] }],
    ['a cycle', cycle],
    ['a __proto__ key', JSON.parse('{"name":"x","steps":[{"type":"set","values":{"__proto__":{"admin":true}}}]}')],
    ['a __proto__ key in data', JSON.parse('{"name":"x","steps":[{"type":"tool","tool":"a:b","arguments":{"deep":[{"__proto__":1}]}}]}')],
  ])('refuses %s as malformed_definition', (_, data) => {
    expect(codesOf(data)).toEqual(['error malformed_definition']);
    expect(({} as { admin?: boolean }).admin).toBeUndefined();
  });
  it('points at the place', () => {
    expect(compileDefinition({ name: 'x', steps: [{ type: 'set', values: { 'a/b': [() => 1] } }] }).problems[0]?.path).toBe(
      '/steps/0/values/a~1b/0',
    );
  });
});

describe('depth', () => {
  it.each([100, 2_000, 100_000])('refuses %d nested steps without a crash', (levels) => {
    expect(codesOf(aDefinition([nested(levels)]))).toContain('error malformed_definition');
  });
  it('takes 49 nested steps and refuses 51', () => {
    expect(compileDefinition(aDefinition([nested(49)])).plan).not.toBeNull();
    expect(codesOf(aDefinition([nested(51)]))).toEqual(['error malformed_definition']);
  });
  it('refuses a 1,000-deep expression and a 1,000-deep argument', () => {
    expect(problemsOf([{ ...SET, when: `${'('.repeat(1_000)}1${')'.repeat(1_000)}` }])).toEqual(['expression_parse_error /steps/0/when']);
    expect(
      codesOf(aDefinition([{ type: 'tool', tool: 'a:b', arguments: { a: JSON.parse('['.repeat(1_000) + ']'.repeat(1_000)) as Json } }])),
    ).toEqual(['error malformed_definition']);
  });
  it.each([1_000, 60_000])('refuses an output schema nested %d deep', (levels) => {
    let schema: JsonObject = { type: 'string' };
    for (let level = 0; level < levels; level += 1) schema = { type: 'array', items: schema };
    expect(compileDefinition(aDefinition([{ type: 'agent_prompt', prompt: 'x', outputSchema: schema }])).plan).toBeNull();
  });
});

describe('size and time', () => {
  const timed = (data: unknown): { readonly codes: ReadonlySet<string>; readonly ms: number } => {
    const before = process.cpuUsage();
    const codes = new Set(codesOf(data));
    const { user, system } = process.cpuUsage(before);
    return { codes, ms: (user + system) / 1_000 };
  };
  it('refuses more than 1 MiB', () => {
    expect(codesOf(aDefinition([{ type: 'notify', target: 'chat', content: 'ä'.repeat(600_000) }]))).toEqual([
      'error definition_too_large',
    ]);
    expect(codesOf(aDefinition([{ type: 'notify', target: 'chat', content: 'x'.repeat(1_000_000) }]))).toEqual([]);
  });
  it('refuses a document that shares its parts into billions', () => {
    let value: unknown = [];
    for (let level = 0; level < 60; level += 1) value = [value, value];
    expect(codesOf(aDefinition([{ type: 'tool', tool: 'a:b', arguments: value as Json }]))).toEqual(['error definition_too_large']);
  });
  it('refuses a plan above 1.5 MB, though the definition is below 1 MiB', () => {
    const values = Object.fromEntries(Array.from({ length: 30_000 }, (_, index) => [`v${index}`, '{{_a+_b+_c+_d}}']));
    expect(codesOf(aDefinition([{ type: 'set', values }]))).toContain('error definition_too_large');
  });
  it.each<readonly [string, () => JsonObject]>([
    [
      '8,000 valid steps',
      () =>
        aDefinition(
          Array.from({ length: 8_000 }, (_, index) => ({ id: `s${index}`, type: 'set', values: { a: `{{outputs.s${index - 1}.a + 1}}` } })),
        ),
    ],
    ['15,000 steps of unknown type', () => aDefinition(Array.from({ length: 15_000 }, () => ({ type: 'banana' })))],
    [
      '15,000 unknown variables',
      () =>
        aDefinition([
          {
            type: 'set',
            values: Object.fromEntries(
              Array.from({ length: 15_000 }, (_, index) => [`name_of_variable_${index}`, `{{unknown_variable_${index}}}`]),
            ),
          },
        ]),
    ],
    ['40,000 branches', () => aDefinition([{ type: 'parallel', branches: Array.from({ length: 40_000 }, () => ({ steps: [] })) }])],
    [
      '15,000 cases',
      () => aDefinition([{ type: 'switch', cases: Array.from({ length: 15_000 }, () => ({ when: '_x', steps: [{ type: 'nope' }] })) }]),
    ],
    ['200,000 opened tokens', () => aDefinition([{ type: 'notify', target: 'chat', content: '{{{}}'.repeat(200_000) }])],
    ['tokens of quotes', () => aDefinition([{ type: 'notify', target: 'chat', content: `{{'}}\\'`.repeat(100_000) }])],
    ['opened tokens that never close', () => aDefinition([{ type: 'notify', target: 'chat', content: '{{'.repeat(500_000) }])],
    ['a bash command of quotes', () => aDefinition([{ type: 'bash', command: `"{{_x}}'`.repeat(100_000) }])],
    [
      '20,000 unknown fields',
      () =>
        aDefinition([
          { type: 'wait', duration: 1, ...Object.fromEntries(Array.from({ length: 20_000 }, (_, index) => [`duratio_${index}`, 1])) },
        ]),
    ],
    [
      'an output schema of 60 KB',
      () =>
        aDefinition([
          {
            type: 'agent_prompt',
            prompt: 'x',
            outputSchema: Object.fromEntries(Array.from({ length: 1_500 }, (_, index) => [`field_${index}`, { type: 'strin' }])),
          },
        ]),
    ],
    ['numbers of 4,000 characters', () => aDefinition(Array.from({ length: 200 }, () => ({ ...SET, when: '9'.repeat(3_900) })))],
    ['one id 15,000 times', () => aDefinition(Array.from({ length: 15_000 }, () => ({ id: 'a', type: 'set', values: {} })))],
    [
      'a pattern that backtracks',
      () => aDefinition([{ type: 'agent_prompt', prompt: 'x', outputSchema: { type: 'string', pattern: '(a+)+$' } }]),
    ],
    [
      '100 output schemas',
      () =>
        aDefinition(
          Array.from({ length: 100 }, () => ({
            type: 'agent_prompt',
            prompt: 'x',
            outputSchema: Object.fromEntries(
              Array.from({ length: 100 }, (_, index) => [`f${index}`, { type: 'string', enum: ['a', 'b'] }]),
            ),
          })),
        ),
    ],
  ])('judges %s in bounded time', (_, build) => {
    const { ms } = timed(build());
    expect(ms).toBeLessThan(6_000);
  });
});
