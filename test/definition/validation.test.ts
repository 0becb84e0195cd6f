import { createHash } from 'node:crypto';
import { compileDefinition } from '../../src/definition/compile/compile.js';
import type { ArgumentFaults } from '../../src/definition/index.js';
import { checkInputs } from '../../src/definition/inputs.js';
import { STEP_TYPES } from '../../src/definition/schema/steps.js';
import type { Json, JsonObject } from '../../src/definition/value.js';
import { SET, aDefinition, aPlan, aStep, problemListOf, problemsOf } from './definitions.js';

describe('V1 types', () => {
  it('refuses an unknown type with the list of all fifteen', () => {
    const [problem] = problemListOf([{ id: 'a', type: 'banana' }]);
    expect(problem).toMatchObject({ code: 'unknown_step_type', severity: 'error', path: '/steps/0/type', stepId: 'a' });
    expect(STEP_TYPES).toHaveLength(15);
    for (const type of STEP_TYPES) expect(problem?.message).toContain(type);
  });
  it.each<readonly [Json, string]>([
    [undefined as unknown as Json, 'missing_field'],
    [5, 'unknown_step_type'],
    [null, 'unknown_step_type'],
    [['set'], 'unknown_step_type'],
    ['toString', 'unknown_step_type'],
    ['', 'unknown_step_type'],
  ])('type %j is %s', (type, code) => {
    expect(problemsOf([type === undefined ? { id: 'a' } : { id: 'a', type }])).toEqual([`${code} /steps/0/type`]);
  });
});

describe('V2 hints', () => {
  it.each([
    ['agent', 'agent_prompt'],
    ['agent_message', 'agent_prompt'],
    ['agent_message', 'notify'],
    ['prompt', 'agent_prompt'],
    ['prompt', 'notify'],
    ['if', 'conditional'],
    ['foreach', 'loop'],
    ['http', 'http:request'],
    ['sleep', 'wait'],
    ['break', 'until'],
    ['agent_promt', 'agent_prompt'],
    ['Loop', 'loop'],
  ])('%s is refused with a hint at %s', (type, replacement) => {
    const [problem] = problemListOf([{ type }]);
    expect(problem?.code).toBe('unknown_step_type');
    expect(problem?.suggestion).toContain(replacement);
  });
});

describe('V3 all problems at once', () => {
  it('names the missing name and the empty steps', () => {
    expect(compileDefinition({ steps: [] }).problems.map(({ code, path }) => `${code} ${path}`)).toEqual([
      'missing_field /name',
      'invalid_field /steps',
    ]);
  });
  it('finds five faults in five steps, each with its pointer and step', () => {
    const problems = problemListOf([
      { id: 'one', type: 'bash' },
      { id: 'two', type: 'banana' },
      { id: 'three', type: 'conditional', condition: '(1', then: [SET] },
      { id: 'four', type: 'tool', tool: 'a:b', timeout: '1 week' },
      { id: 'five', type: 'loop', over: 'variables._xs', steps: [{ id: 'inner', type: 'set', values: {}, colour: 1 }] },
    ]);
    expect(problems.map(({ code, path, stepId }) => [code, path, stepId])).toEqual([
      ['missing_field', '/steps/0/command', 'one'],
      ['unknown_step_type', '/steps/1/type', 'two'],
      ['expression_parse_error', '/steps/2/condition', 'three'],
      ['duration_invalid', '/steps/3/timeout', 'four'],
      ['unknown_field', '/steps/4/steps/0/colour', 'inner'],
    ]);
  });
  it('goes on inside a step, a list of cases and a branch that have faults of their own', () => {
    expect(
      problemsOf([
        { type: 'switch', cases: [{ when: 5, steps: [{ type: 'bash' }] }, { steps: [{ type: 'set', values: 3 }] }], colour: 1 },
        {
          type: 'parallel',
          branches: [
            { id: 'a/b', steps: [{ type: 'wait' }] },
            { id: 'x', steps: [{ type: 'stop', outcome: '{{' }] },
          ],
        },
        { type: 'try', steps: [{ type: 'nope' }], catch: [{ codes: 'x', steps: [{ type: 'nope' }] }], finally: [{ type: 'nope' }] },
        { type: 'conditional', condition: 7, then: 'x', else: [{ type: 'nope' }] },
      ]).toSorted(),
    ).toEqual([
      'invalid_field /steps/0/cases/0/when',
      'invalid_field /steps/0/cases/1/steps/0/values',
      'invalid_field /steps/1/branches/0/id',
      'invalid_field /steps/1/branches/1/steps/0/outcome',
      'invalid_field /steps/2/catch/0/codes',
      'invalid_field /steps/3/condition',
      'invalid_field /steps/3/then',
      'missing_field /steps/0/cases/0/steps/0/command',
      'missing_field /steps/0/cases/1/when',
      'missing_field /steps/1/branches/0/steps/0/duration',
      'unknown_field /steps/0/colour',
      'unknown_step_type /steps/2/catch/0/steps/0/type',
      'unknown_step_type /steps/2/finally/0/type',
      'unknown_step_type /steps/2/steps/0/type',
      'unknown_step_type /steps/3/else/0/type',
    ]);
  });
  it('reports a bad expression beside another fault of the same step, and every bad token of a text', () => {
    expect(problemsOf([{ type: 'set', colour: 1, when: '1 +', values: { a: '{{ ( }} and {{ ) }}', b: ['{{}}', '{{ x'] } }])).toEqual([
      'unknown_field /steps/0/colour',
      'expression_parse_error /steps/0/when',
      'expression_parse_error /steps/0/values/a',
      'expression_parse_error /steps/0/values/a',
      'expression_parse_error /steps/0/values/b/0',
      'expression_parse_error /steps/0/values/b/1',
    ]);
  });
  it('hints at the nearest field', () => {
    expect(problemListOf([{ type: 'bash', command: 'x', alowFailure: true }])[0]).toMatchObject({
      code: 'unknown_field',
      path: '/steps/0/alowFailure',
      suggestion: 'Did you mean "allowFailure"?',
    });
  });
  it('lists a thousand problems, then counts', () => {
    const problems = problemListOf(Array.from({ length: 1_500 }, () => ({ type: 'bash' })));
    expect(problems).toHaveLength(1_001);
    expect(problems.at(-1)?.message).toBe('There are 500 more problems');
  });
});

describe('V4 ids', () => {
  it('refuses the same id in two branches', () => {
    const problems = problemListOf([{ type: 'conditional', condition: '_x', then: [{ id: 'a', ...SET }], else: [{ id: 'a', ...SET }] }]);
    expect(problems).toMatchObject([{ code: 'duplicate_step_id', path: '/steps/0/else/0/id', stepId: 'a' }]);
  });
  it.each(['a/b', '1x', 'a'.repeat(65), '', 'a b', '__proto__', 'constructor', 'é'])('refuses the id %j', (id) => {
    expect(problemsOf([{ id, ...SET }])).toEqual(['invalid_step_id /steps/0/id']);
  });
  it.each([5, null, true])('refuses the id %j', (id) => {
    expect(problemsOf([{ id, ...SET }])).toEqual(['invalid_step_id /steps/0/id']);
  });
  it.each(['a', '_9', 'a-b_C', 'A'.repeat(64)])('takes the id %s', (id) => {
    expect(problemsOf([{ id, ...SET }])).toEqual([]);
  });
  it('fills in missing ids, equal each time, around those that are taken', () => {
    const definition = aDefinition([
      SET,
      { id: 'set_2', ...SET },
      { type: 'loop', over: [1], steps: [SET, { type: 'wait', duration: 1 }] },
      { type: 'parallel', branches: [{ steps: [SET] }, { id: 'branch_1', steps: [SET] }] },
    ]);
    const first = compileDefinition(definition).definition;
    expect(first).toEqual(compileDefinition(definition).definition);
    expect(first).toEqual(
      aDefinition([
        { id: 'set_1', ...SET },
        { id: 'set_2', ...SET },
        {
          id: 'loop_1',
          type: 'loop',
          over: [1],
          steps: [
            { id: 'set_3', ...SET },
            { id: 'wait_1', type: 'wait', duration: 1 },
          ],
        },
        {
          id: 'parallel_1',
          type: 'parallel',
          branches: [
            { id: 'branch_2', steps: [{ id: 'set_4', ...SET }] },
            { id: 'branch_1', steps: [{ id: 'set_5', ...SET }] },
          ],
        },
      ]),
    );
    expect(compileDefinition(first).definition).toEqual(first);
  });
  it('leaves what the author wrote unchanged', () => {
    const definition = aDefinition([SET]);
    const before = JSON.stringify(definition);
    compileDefinition(definition);
    expect(JSON.stringify(definition)).toBe(before);
  });
});

describe('V5 hash', () => {
  const hashOf = (definition: JsonObject): string | null => compileDefinition(definition).hash;
  it('is the same whatever the order of keys, and another for another value', () => {
    const one = hashOf({ name: 'n', version: '1.0.0', steps: [{ id: 'a', type: 'set', values: { x: 1, y: { p: 1, q: 2 } } }] });
    expect(one).toMatch(/^sha256:[0-9a-f]{64}$/);
    expect(hashOf({ steps: [{ values: { y: { q: 2, p: 1 }, x: 1 }, type: 'set', id: 'a' }], version: '1.0.0', name: 'n' })).toBe(one);
    expect(hashOf({ name: 'n', version: '1.0.0', steps: [{ id: 'a', type: 'set', values: { x: 1, y: { p: 1, q: 3 } } }] })).not.toBe(one);
    expect(hashOf({ name: 'n', version: '1.0.1', steps: [{ id: 'a', type: 'set', values: { x: 1, y: { p: 1, q: 2 } } }] })).not.toBe(one);
  });
  it('has ids filled in and defaults not', () => {
    expect(hashOf({ name: 'n', steps: [SET] })).toBe(hashOf({ name: 'n', steps: [{ id: 'set_1', ...SET }] }));
    expect(hashOf({ name: 'n', steps: [SET] })).not.toBe(hashOf({ name: 'n', version: '1.0.0', steps: [SET] }));
  });
  it('is the sha256 of the canonical JSON', () => {
    expect(hashOf({ steps: [{ id: 'a', type: 'set', values: {} }], name: 'n' })).toBe(
      `sha256:${createHash('sha256').update('{"name":"n","steps":[{"id":"a","type":"set","values":{}}]}').digest('hex')}`,
    );
  });
});

describe('V6 fields', () => {
  it.each<readonly [string, JsonObject, readonly string[]]>([
    ['bash without command', { type: 'bash' }, ['missing_field /steps/0/command']],
    ['loop without over and while', { type: 'loop', steps: [SET] }, ['missing_field /steps/0/over']],
    ['loop with both', { type: 'loop', over: [1], while: 'true', steps: [SET] }, ['invalid_field /steps/0/while']],
    ['a loop without steps', { type: 'loop', over: [1] }, ['missing_field /steps/0/steps']],
    [
      'outputSchema type "strin"',
      { type: 'agent_prompt', prompt: 'x', outputSchema: { a: { type: 'strin' } } },
      ['output_schema_invalid /steps/0/outputSchema/a/type'],
    ],
    [
      'a JSON Schema of type "strin"',
      { type: 'agent_prompt', prompt: 'x', outputSchema: { type: 'strin' } },
      ['output_schema_invalid /steps/0/outputSchema/type'],
    ],
    ['"1 week"', { type: 'set', values: {}, timeout: '1 week' }, ['duration_invalid /steps/0/timeout']],
    ['a wait of "1 week"', { type: 'wait', duration: '1 week' }, ['duration_invalid /steps/0/duration']],
    ['a timeout of 0', { type: 'set', values: {}, timeout: 0 }, ['duration_invalid /steps/0/timeout']],
    ['a negative wait', { type: 'wait', duration: -1 }, ['duration_invalid /steps/0/duration']],
    ['a wait until soon', { type: 'wait', until: 'soon' }, ['invalid_field /steps/0/until']],
    ['a wait with both', { type: 'wait', duration: 1, until: 1 }, ['invalid_field /steps/0/until']],
    ['no prompt', { type: 'agent_prompt' }, ['missing_field /steps/0/prompt']],
    ['two prompts', { type: 'agent_prompt', prompt: 'a', goal: 'b' }, ['invalid_field /steps/0/goal']],
    ['a target nobody knows', { type: 'notify', content: 'x', target: 'pager' }, ['invalid_field /steps/0/target']],
    ['a slack target without channel', { type: 'notify', content: 'x', target: 'slack:' }, ['invalid_field /steps/0/target']],
    ['a tool without provider', { type: 'tool', tool: 'http' }, ['invalid_field /steps/0/tool']],
    ['a template as tool', { type: 'tool', tool: '{{x}}:y' }, ['invalid_field /steps/0/tool']],
    ['a template as persona', { type: 'agent_prompt', prompt: 'x', persona: '{{p}}' }, ['invalid_field /steps/0/persona']],
    ['a template as workflow', { type: 'subworkflow', workflow: '{{w}}' }, ['invalid_field /steps/0/workflow']],
    ['a loop variable named outputs', { type: 'loop', over: [1], itemVar: 'outputs', steps: [SET] }, ['invalid_field /steps/0/itemVar']],
    [
      'one name for item and index',
      { type: 'loop', over: [1], itemVar: 'x', indexVar: 'x', steps: [SET] },
      ['invalid_field /steps/0/indexVar'],
    ],
    ['concurrency 51', { type: 'loop', over: [1], concurrency: 51, steps: [SET] }, ['invalid_field /steps/0/concurrency']],
    ['while with concurrency', { type: 'loop', while: '_x', concurrency: 2, steps: [SET] }, ['invalid_field /steps/0/concurrency']],
    ['branches and steps', { type: 'parallel', branches: [{ id: 'b', steps: [SET] }], steps: [SET] }, ['invalid_field /steps/0/steps']],
    ['neither branches nor steps', { type: 'parallel' }, ['missing_field /steps/0/branches']],
    [
      'two branches of one name',
      {
        type: 'parallel',
        branches: [
          { id: 'b', steps: [SET] },
          { id: 'b', steps: [SET] },
        ],
      },
      ['duplicate_step_id /steps/0/branches/1/id'],
    ],
    [
      'waiting for more than there are',
      { type: 'parallel', branches: [{ id: 'b', steps: [SET] }], wait: 2 },
      ['invalid_field /steps/0/wait'],
    ],
    ['an empty block', { type: 'conditional', condition: '_x', then: [] }, ['invalid_field /steps/0/then']],
    ['no cases', { type: 'switch', cases: [] }, ['invalid_field /steps/0/cases']],
    ['a retry of no attempts', { type: 'set', values: {}, retry: { maxAttempts: 0 } }, ['invalid_field /steps/0/retry/maxAttempts']],
    ['an unknown field of retry', { type: 'set', values: {}, retry: { times: 1 } }, ['unknown_field /steps/0/retry/times']],
    ['a name with a space in set', { type: 'set', values: { 'a b': 1 } }, ['invalid_field /steps/0/values/a b']],
    ['__proto__ in set', { type: 'set', values: { constructor: 1 } }, ['invalid_field /steps/0/values/constructor']],
    ['a form that is no schema', { type: 'approval', form: { type: 'objekt' } }, ['invalid_field /steps/0/form/type']],
    ['a form that answers later', { type: 'approval', form: { type: 'object', $async: true } }, ['invalid_field /steps/0/form']],
    [
      'a form whose pattern takes no linear time',
      { type: 'approval', form: { properties: { a: { pattern: '(?<=a)b' } } } },
      ['invalid_field /steps/0/form'],
    ],
    ['a form of a megabyte', { type: 'approval', form: { description: 'x'.repeat(70_000) } }, ['invalid_field /steps/0/form']],
    ['a stop without outcome', { type: 'stop' }, ['missing_field /steps/0/outcome']],
    [
      'a bad error code',
      { type: 'try', steps: [SET], catch: [{ codes: ['HTTP 5'], steps: [SET] }] },
      ['invalid_field /steps/0/catch/0/codes/0'],
    ],
    ['a step that is no object', 5 as unknown as JsonObject, ['malformed_definition /steps/0']],
    ['null for a field', { type: 'bash', command: null }, ['invalid_field /steps/0/command']],
    ['a duration of wrong type', { type: 'approval', timeout: true }, ['invalid_field /steps/0/timeout']],
  ])('refuses %s', (_, step, expected) => {
    expect(problemsOf([step])).toEqual(expected);
  });
  it.each<readonly [string, JsonObject, readonly string[]]>([
    ['an unknown field', { colour: 1 }, ['unknown_field /colour']],
    ['a version that is no version', { version: 'one' }, ['invalid_field /version']],
    ['a bad constraint', { constraints: { maxSteps: 0 } }, ['invalid_field /constraints/maxSteps']],
    ['a bad duration', { constraints: { maxDuration: 'forever' } }, ['duration_invalid /constraints/maxDuration']],
    ['an unknown constraint', { constraints: { max: 1 } }, ['unknown_field /constraints/max']],
    ['a variable type', { variables: { a: { type: 'text' } } }, ['invalid_field /variables/a/type']],
    ['a variable without type', { variables: { a: {} } }, ['missing_field /variables/a/type']],
    ['a variable name', { variables: { 'a b': { type: 'string' } } }, ['invalid_field /variables/a b']],
    ['a default of another type', { variables: { a: { type: 'number', default: '7' } } }, ['invalid_field /variables/a/default']],
    ['a default outside enum', { variables: { a: { type: 'string', enum: ['x'], default: 'y' } } }, ['invalid_field /variables/a/default']],
    ['an enum of another type', { variables: { a: { type: 'string', enum: ['x', 5] } } }, ['invalid_field /variables/a/enum/1']],
    ['an empty name', { name: ' ' }, ['invalid_field /name']],
    ['a bad output', { output: { a: '{{ ( }}' } }, ['expression_parse_error /output/a']],
    ['a bad failureNotify', { failureNotify: 'all' }, ['invalid_field /failureNotify']],
  ])('refuses in the root %s', (_, more, expected) => {
    expect(problemsOf([SET], more)).toEqual(expected);
  });
});

describe('V7 tools and workflows', () => {
  const context = { tools: new Set(['http:request', 'files:read']), workflows: new Set(['double', 'wf_1']) };
  it('refuses an unknown tool with the nearest name', () => {
    expect(problemListOf([{ id: 'a', type: 'tool', tool: 'http:requst' }], {}, context)).toMatchObject([
      { code: 'tool_unknown', severity: 'error', path: '/steps/0/tool', stepId: 'a', suggestion: 'Did you mean "http:request"?' },
    ]);
    expect(problemsOf([{ type: 'tool', tool: 'foo:bar' }], {}, context)).toEqual(['tool_unknown /steps/0/tool']);
  });
  describe('arguments as they are written', () => {
    const argumentFaults: ArgumentFaults = (tool, args) => {
      const given = args as { readonly [name: string]: unknown };
      return [
        ...(given['url'] === undefined ? [{ code: 'missing_field' as const, path: ['url'], message: `${tool} has no url` }] : []),
        ...(typeof given['url'] === 'number' ? [{ code: 'invalid_field' as const, path: ['url'], message: 'url: expected text' }] : []),
        ...(given['expect'] === undefined ? [] : [{ code: 'invalid_field' as const, path: ['expect'], message: 'expect: no list' }]),
        ...(given['heders'] === undefined
          ? []
          : [{ code: 'unknown_field' as const, path: ['heders'], message: 'There is no argument heders', known: ['url', 'headers'] }]),
      ];
    };
    const faultsOf = (args?: Json) =>
      problemsOf(
        [{ type: 'tool', tool: 'http:request', ...(args === undefined ? {} : { arguments: args }) }],
        {},
        { ...context, argumentFaults },
      );
    it.each<readonly [string, Json | undefined, readonly string[]]>([
      ['none at all', undefined, ['missing_field /steps/0/arguments/url']],
      ['one that is missing beside a template', { headers: '{{ h }}' }, ['missing_field /steps/0/arguments/url']],
      ['another type', { url: 5 }, ['invalid_field /steps/0/arguments/url']],
      ['an unknown one, whatever it holds', { url: 'x', heders: '{{ h }}' }, ['unknown_field /steps/0/arguments/heders']],
      [
        'every fault',
        { expect: [1], heders: 1 },
        ['missing_field /steps/0/arguments/url', 'invalid_field /steps/0/arguments/expect', 'unknown_field /steps/0/arguments/heders'],
      ],
      ['what a template gives, alone', { url: '{{ u }}' }, []],
      ['what a template gives, in a text', { url: 'http://{{ u }}/x' }, []],
      ['what holds a template', { url: 'x', expect: [1, '{{ u }}'] }, []],
      ['arguments that are one template', '{{ u }}', []],
    ])('refuses what can never fit and leaves the rest to the run: %s', (_what, args, expected) => {
      expect(faultsOf(args).filter((problem) => !problem.startsWith('unknown_variable'))).toEqual(expected);
    });
    it('hints at the name that was meant', () => {
      const step = { id: 'a', type: 'tool', tool: 'http:request', arguments: { url: 'x', heders: 1 } };
      expect(problemListOf([step], {}, { ...context, argumentFaults })).toMatchObject([
        { suggestion: 'Did you mean "headers"?', stepId: 'a' },
      ]);
    });
  });
  it('does not look them up without a registry', () => {
    expect(
      problemsOf([
        { type: 'tool', tool: 'foo:bar' },
        { type: 'subworkflow', workflow: 'x' },
      ]),
    ).toEqual([]);
  });
  it('only warns of an unknown tool in an allow-list', () => {
    expect(
      problemListOf([{ type: 'agent_prompt', prompt: 'x', tools: ['files:read', 'files:*', 'mcp:later'] }], {}, context),
    ).toMatchObject([{ code: 'tool_unknown', severity: 'warning', path: '/steps/0/tools/2' }]);
  });
  it('refuses an unknown workflow', () => {
    expect(
      problemsOf(
        [
          { type: 'subworkflow', workflow: 'double' },
          { type: 'subworkflow', workflow: 'tripel' },
        ],
        {},
        context,
      ),
    ).toEqual(['subworkflow_not_found /steps/1/workflow']);
  });
  it('warns of changed content under a used version', () => {
    const { hash } = compileDefinition(aDefinition([SET]));
    expect(problemsOf([SET], {}, { usedVersions: new Map([['1.0.0', 'sha256:other']]) })).toEqual(['version_reused /version']);
    expect(problemsOf([SET], {}, { usedVersions: new Map([['1.0.0', hash ?? '']]) })).toEqual([]);
    expect(problemsOf([SET], { version: '1.0.1' }, { usedVersions: new Map([['1.0.0', 'sha256:other']]) })).toEqual([]);
  });
});

describe('V8 inputs', () => {
  const { variables } = aPlan([SET], {
    variables: {
      a: { type: 'string', required: true },
      b: { type: 'string', enum: ['x', 'y'] },
      c: { type: 'number', default: 7 },
      o: { type: 'object' },
      l: { type: 'array', enum: [[1, { p: 1, q: 2 }]] },
    },
  });
  it('names every input that does not fit, together', () => {
    expect(checkInputs(variables, { b: 'z', c: 'x', d: 1 }).problems.map(({ code, path }) => `${code} ${path}`)).toEqual([
      'input_required_missing /a',
      'input_not_in_enum /b',
      'input_type_mismatch /c',
      'input_unknown /d',
    ]);
  });
  it('fills in defaults', () => {
    expect(checkInputs(variables, { a: 'v' })).toEqual({ values: { a: 'v', c: 7 }, problems: [] });
  });
  it.each<readonly [JsonObject, readonly string[]]>([
    [{ a: null }, ['input_required_missing']],
    [{ a: '' }, []],
    [{ a: 'v', c: null }, []],
    [{ a: 'v', o: [] }, ['input_type_mismatch']],
    [{ a: 'v', o: {} }, []],
    [{ a: 'v', l: [1, { q: 2, p: 1 }] }, []],
    [{ a: 'v', l: [2] }, ['input_not_in_enum']],
    [{ a: 'v', l: {} }, ['input_type_mismatch']],
    [{ a: 5 }, ['input_type_mismatch']],
    [{ a: 'v', _trigger: {}, _anything: 1 }, []],
    [{ a: 'v', toString: 'x' }, ['input_unknown']],
  ])('%j gives %j', (input, codes) => {
    expect(checkInputs(variables, input).problems.map(({ code }) => code)).toEqual(codes);
  });
  it('hands on names beginning with _ and takes none of the prototype for an input', () => {
    expect(checkInputs(variables, { a: 'v', _payload: { x: 1 } }).values).toEqual({ a: 'v', c: 7, _payload: { x: 1 } });
    expect(checkInputs(aPlan([SET], { variables: { valueOf: { type: 'string', required: true } } }).variables, {}).problems).toHaveLength(
      1,
    );
  });
});

describe('V9 warnings', () => {
  it('saves with three warnings: unknown variable, output before published, quoted in bash', () => {
    const { plan, problems } = compileDefinition(
      aDefinition([
        { id: 'a', type: 'set', values: { y: '{{nosuch}}' } },
        { id: 'b', type: 'set', values: { z: '{{outputs.c}}' } },
        { id: 'c', type: 'bash', command: 'echo "{{y}}"' },
      ]),
    );
    expect(plan).not.toBeNull();
    expect(problems.map(({ code, severity, path }) => [code, severity, path])).toEqual([
      ['unknown_variable', 'warning', '/steps/0/values/y'],
      ['output_not_yet_published', 'warning', '/steps/1/values/z'],
      ['shell_interpolation_quoted', 'warning', '/steps/2/command'],
    ]);
  });
  const read = (name: string): JsonObject => ({ type: 'set', values: { r: `{{outputs.${name}}}` } });
  const warns = (code: string, path: string): readonly string[] => [`${code} ${path}`];
  const early = (path: string): readonly string[] => warns('output_not_yet_published', path);
  const A: JsonObject = { id: 'a', type: 'set', values: { v: 1 } };
  it.each<readonly [string, readonly JsonObject[], readonly string[]]>([
    ['a step before', [A, read('a')], []],
    ['a step after', [read('a'), A], early('/steps/0/values/r')],
    ['itself', [{ ...read('b'), id: 'b' }], early('/steps/0/values/r')],
    ['the other branch', [{ type: 'conditional', condition: '_x', then: [A], else: [read('a')] }], early('/steps/0/else/0/values/r')],
    ['a branch, after it', [{ type: 'conditional', condition: '_x', then: [A] }, read('a')], []],
    ['another parallel branch', [{ type: 'parallel', steps: [A, read('a')] }], early('/steps/0/steps/1/values/r')],
    ['a parallel branch, after it', [{ type: 'parallel', steps: [A] }, read('a')], []],
    [
      'an earlier case',
      [
        {
          type: 'switch',
          cases: [
            { when: '_x', steps: [A] },
            { when: '_y', steps: [read('a')] },
          ],
        },
      ],
      early('/steps/0/cases/1/steps/0/values/r'),
    ],
    ['a later step of a loop, from the pass before', [{ type: 'loop', over: [1], steps: [read('a'), A] }], []],
    [
      'a later step of a concurrent loop',
      [{ type: 'loop', over: [1], concurrency: 2, steps: [read('a'), A] }],
      early('/steps/0/steps/0/values/r'),
    ],
    ['collect and until', [{ type: 'loop', over: [1], collect: 'outputs.a', until: 'outputs.a', steps: [A] }], []],
    [
      'the try block, from catch and finally',
      [{ type: 'try', steps: [A], catch: [{ steps: [read('a')] }], finally: [{ ...read('a') }] }],
      [],
    ],
    ['a step whose output variable it is', [{ ...A, outputVariable: 'v' }, read('v')], []],
    ['a step by id though it has an output variable', [{ ...A, outputVariable: 'v' }, read('a')], early('/steps/1/values/r')],
  ])('outputs of %s', (_, steps, expected) => {
    expect(problemsOf(steps)).toEqual(expected);
  });
  it('sees all outputs in the root output', () => {
    expect(problemsOf([{ type: 'conditional', condition: '_x', then: [A] }], { output: '{{outputs.a}} {{outputs.zz}}' })).toEqual(
      early('/output'),
    );
  });
  it.each<readonly [string, readonly JsonObject[], readonly string[]]>([
    ['declared', [{ type: 'set', values: { r: '{{declared + variables.declared}}' } }], []],
    [
      'set later',
      [
        { type: 'set', values: { r: '{{q}}' } },
        { type: 'set', values: { q: 1 } },
      ],
      [],
    ],
    ['of the trigger', [{ type: 'set', values: { r: '{{trigger.type + _payload.x}}' } }], []],
    [
      'named by a loop',
      [{ type: 'loop', over: [1], itemVar: 'it', steps: [{ type: 'set', values: { r: '{{it + index}}' } }], collect: 'it' }],
      [],
    ],
    [
      'named by a loop, outside of it',
      [
        { type: 'loop', over: [1], itemVar: 'it', steps: [SET] },
        { type: 'set', values: { r: '{{it}}' } },
      ],
      warns('unknown_variable', '/steps/1/values/r'),
    ],
    ['of an arrow function', [{ type: 'set', values: { r: '{{map([1], z => z)}}' } }], []],
    ['of catch', [{ type: 'try', steps: [SET], catch: [{ as: 'e', steps: [{ type: 'set', values: { r: '{{e.code}}' } }] }] }], []],
    ['that is an output', [A, { type: 'set', values: { r: '{{a}}' } }], warns('unknown_variable', '/steps/1/values/r')],
    ['unknown, in a condition', [{ type: 'set', when: '{{ nosuch > 1 }}', values: {} }], warns('unknown_variable', '/steps/0/when')],
  ])('variables %s', (_, steps, expected) => {
    expect(problemsOf(steps, { variables: { declared: { type: 'number' } } })).toEqual(expected);
  });
  it('names column and nearest name', () => {
    expect(
      problemListOf([{ type: 'notify', target: 'chat', content: 'Hi {{ declered }}' }], { variables: { declared: { type: 'number' } } })[0],
    ).toMatchObject({ column: 7, suggestion: 'Did you mean "declared"?' });
  });
  it.each<readonly [string, JsonObject, readonly string[]]>([
    [
      'an output variable named as another step',
      { type: 'set', id: 'b', values: {}, outputVariable: 'a' },
      ['id_shadowed /steps/1/outputVariable'],
    ],
    ['its own id as output variable', { type: 'set', id: 'b', values: {}, outputVariable: 'b' }, []],
    [
      'a loop variable named as a variable',
      { type: 'loop', over: [1], itemVar: 'declared', steps: [SET] },
      ['id_shadowed /steps/1/itemVar'],
    ],
    ['nested loops with default names', { type: 'loop', over: [1], steps: [{ type: 'loop', over: [1], steps: [SET] }] }, []],
    [
      'nested loops of one name',
      { type: 'loop', over: [1], itemVar: 'x', steps: [{ type: 'loop', over: [1], itemVar: 'x', steps: [SET] }] },
      ['id_shadowed /steps/1/steps/0/itemVar'],
    ],
  ])('id_shadowed: %s', (_, step, expected) => {
    expect(problemsOf([A, step], { variables: { declared: { type: 'number' } } })).toEqual(expected);
  });
  it.each<readonly [string, readonly JsonObject[], readonly string[]]>([
    ['an else behind true', [{ type: 'conditional', condition: 'true', then: [SET], else: [SET] }], ['/steps/0/else']],
    ['a then behind false', [{ type: 'conditional', condition: '{{ 1 > 2 }}', then: [SET] }], ['/steps/0/then']],
    ['a step that never runs', [{ ...SET, when: 'false' }], ['/steps/0/when']],
    ['steps after a stop', [{ type: 'stop', outcome: 'completed' }, SET, SET], ['/steps/1']],
    ['steps after a conditional stop', [{ type: 'stop', outcome: 'completed', when: '_x' }, SET], []],
    [
      'cases behind a true one',
      [
        {
          type: 'switch',
          cases: [
            { when: 'true', steps: [SET] },
            { when: '_x', steps: [SET] },
          ],
          default: [SET],
        },
      ],
      ['/steps/0/cases/1', '/steps/0/default'],
    ],
    ['a loop of false', [{ type: 'loop', while: 'false', steps: [SET] }], ['/steps/0/steps']],
    ['a loop of true', [{ type: 'loop', while: 'true', steps: [SET] }], []],
  ])('unreachable_branch: %s', (_, steps, expected) => {
    expect(problemsOf(steps)).toEqual(expected.map((path) => `unreachable_branch ${path}`));
  });
  it.each<readonly [string, readonly number[]]>([
    ['echo {{_x}}', []],
    ['echo "{{_x}}"', [7]],
    ["echo '{{_x}}' {{_y}}", [7]],
    ['echo "a" {{_x}} "b {{_y}}"', [20]],
    ['echo \\"{{_x}}\\"', []],
    ["# don't\necho {{_x}}", []],
    ['echo a#"{{_x}}"', [9]],
    ["echo 'it'\\''s' {{_x}}", []],
    ['echo "\\"{{_x}}"', [9]],
  ])('shell_interpolation_quoted: %s at %j', (command, columns) => {
    expect(problemListOf([{ type: 'bash', command }]).map(({ column }) => column)).toEqual(columns);
  });
});

describe('V11 clamps and defaults', () => {
  it('clamps await_timeout_ms and timeoutMs', () => {
    expect(aStep('agent_prompt', { prompt: 'x', await_timeout_ms: 10 }).awaitTimeoutMs).toBe(1_000);
    expect(aStep('agent_prompt', { prompt: 'x', await_timeout_ms: 1e9 }).awaitTimeoutMs).toBe(900_000);
    expect(aStep('bash', { command: 'x', timeoutMs: 1e9 }).timeoutLimitMs).toBe(600_000);
    expect(aStep('bash', { command: 'x', timeoutMs: -5 }).timeoutLimitMs).toBe(1_000);
  });
  it('fills in the defaults of the root', () => {
    expect(aPlan([SET])).toMatchObject({
      planFormat: 1,
      version: '1.0.0',
      failureNotify: 'orchestrator',
      variables: {},
      constraints: { allowSelfModification: false, maxSteps: 10_000, maxDurationMs: 604_800_000, maxDepth: 5 },
    });
    expect(aPlan([SET])).not.toHaveProperty('output');
  });
  it.each<readonly [string, JsonObject, JsonObject]>([
    [
      'agent_prompt',
      { goal: 'g' },
      { prompt: { k: 'lit', v: 'g' }, maxTurns: 25, interrupt: false, awaitTimeoutMs: 300_000, onError: 'fail' },
    ],
    ['tool', { tool: 'a:b' }, { arguments: { k: 'lit', v: {} } }],
    ['bash', { command: 'x' }, { command: ['x'], timeoutLimitMs: 120_000, allowFailure: false, onCrash: 'fail' }],
    ['approval', {}, { quorum: 1, deadlineMs: 86_400_000, onTimeout: 'fail', onDeny: 'cancel', remindMs: [] }],
    [
      'approval',
      { timeout: '2s', remind: ['1s'], escalate: { after: '1m', to: ['cy'] } },
      { deadlineMs: 2_000, remindMs: [1_000], escalate: { afterMs: 60_000, to: ['cy'] } },
    ],
    [
      'loop',
      { over: [1], steps: [SET] },
      { over: { k: 'lit', v: [1] }, itemVar: 'item', indexVar: 'index', concurrency: 1, maxIterations: 10_000, onItemError: 'fail' },
    ],
    ['parallel', { steps: [SET] }, { wait: 'all', onBranchError: 'fail', branches: [{ id: 'set_1' }] }],
    ['parallel', { branches: [{ steps: [SET] }], wait: 'any' }, { wait: 1, branches: [{ id: 'branch_1' }] }],
    ['parallel', { steps: [SET, SET], wait: '2' }, { wait: 2 }],
    ['try', { steps: [SET], catch: [{ steps: [SET] }] }, { catch: [{ codes: ['*'] }] }],
    ['wait_for_event', { event: 'paid', timeout: '2s' }, { event: { k: 'lit', v: 'paid' }, deadlineMs: 2_000 }],
    ['subworkflow', { workflow: 'w' }, { input: { k: 'lit', v: {} }, await: true }],
    ['set', { values: {}, retry: {} }, { retry: { maxAttempts: 3, initialIntervalMs: 1_000, backoff: 2, maxIntervalMs: 60_000 } }],
    ['set', { values: {}, timeout: '1.5m', onError: 'continue' }, { timeoutMs: 90_000, onError: 'continue' }],
    ['stop', { outcome: 'failed', message: 'no' }, { outcome: 'failed', message: { k: 'lit', v: 'no' } }],
  ])('plans %s %j', (type, fields, expected) => {
    expect(aStep(type as 'set', fields)).toMatchObject(expected);
  });
  it('keeps the deadline of approval and wait_for_event out of the step timeout', () => {
    expect(aStep('approval', { timeout: '2s' })).not.toHaveProperty('timeoutMs');
    expect(aStep('wait_for_event', { event: 'x', timeout: '2s' })).not.toHaveProperty('timeoutMs');
  });
  it('reads a condition the same bare and in one token (X5)', () => {
    const condition = (text: string | boolean): unknown =>
      JSON.parse(JSON.stringify(aStep('conditional', { condition: text, then: [SET] }).condition), (key, value: unknown) =>
        key === 'at' ? undefined : value,
      );
    expect(condition('{{ _n > 1 }}')).toEqual(condition('_n > 1'));
    expect(condition(' {{_n > 1}} ')).toEqual(condition('_n > 1'));
    expect(condition(true)).toEqual({ k: 'lit', v: true });
    expect(problemsOf([{ type: 'set', when: '{{_a}} {{_b}}', values: {} }])).toEqual(['expression_parse_error /steps/0/when']);
  });
  it('is plain JSON', () => {
    const plan = aPlan([
      { type: 'agent_prompt', prompt: '{{_x}}', outputSchema: { a: { type: 'string' } } },
      { type: 'loop', over: '_xs', steps: [SET] },
    ]);
    expect(JSON.parse(JSON.stringify(plan))).toEqual(plan);
  });
});

describe('X13 secrets in definitions', () => {
  it.each<readonly [string, JsonObject]>([
    ['tool arguments', { type: 'tool', tool: 'http:request', arguments: { headers: { a: 'Bearer {{secrets.K}}' } } }],
    ['bash command', { type: 'bash', command: 'x {{secrets.K}}', env: { A: '{{secrets.K}}' } }],
    ['notify', { type: 'notify', target: 'webhook:https://x/{{secrets.K}}', content: 'x' }],
  ])('are taken in %s', (_, step) => {
    expect(problemsOf([step])).toEqual([]);
  });
  it.each<readonly [string, JsonObject, string]>([
    ['a condition', { type: 'conditional', condition: 'secrets.K == 1', then: [SET] }, '/steps/0/condition'],
    ['when', { type: 'bash', command: 'x', when: 'secrets.K' }, '/steps/0/when'],
    ['set', { type: 'set', values: { a: '{{secrets.K}}' } }, '/steps/0/values/a'],
    ['an approval', { type: 'approval', prompt: '{{secrets.K}}' }, '/steps/0/prompt'],
    ["a child's input", { type: 'subworkflow', workflow: 'w', input: { a: '{{secrets.K}}' } }, '/steps/0/input/a'],
    ['over', { type: 'loop', over: 'secrets.K', steps: [SET] }, '/steps/0/over'],
  ])('are a problem in %s', (_, step, path) => {
    expect(problemListOf([step])).toMatchObject([{ code: 'invalid_field', severity: 'error', path }]);
  });
  it('are a problem in the root output', () => {
    expect(problemsOf([SET], { output: '{{secrets.K}}' })).toEqual(['invalid_field /output']);
  });
});

describe('X8 X9 in a definition', () => {
  it('lists every hostile or broken expression once, with its column', () => {
    const sources = ['constructor', 'a["__proto__"]', '`x`', 'this', 'new X()', 'a[b]', 'nosuch(1)', '(1', '"a', '1 +', 'a.', ''];
    const problems = problemListOf(sources.map((when) => ({ ...SET, when })));
    expect(problems.map(({ code, path, column }) => [code, path, typeof column])).toEqual(
      sources.map((_, index) => ['expression_parse_error', `/steps/${index}/when`, 'number']),
    );
  });
  it('counts the column from 1 in the text as written', () => {
    expect(problemListOf([{ type: 'notify', target: 'chat', content: 'Hello {{ this }}' }])[0]).toMatchObject({
      column: 10,
      message: '"this" is not part of the language (column 10)',
    });
  });
});
