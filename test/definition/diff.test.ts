import { compileDefinition } from '../../src/definition/compile/compile.js';
import { diffDefinitions } from '../../src/definition/diff.js';
import type { Json, JsonObject } from '../../src/definition/value.js';
import { aDefinition, anExample, exampleNames } from './definitions.js';

const say = (id: string, content = 'x'): JsonObject => ({ id, type: 'notify', target: 'chat', content });
const choose = (then: readonly Json[], otherwise: readonly Json[] = []): JsonObject => ({
  id: 'c',
  type: 'conditional',
  condition: '_x',
  then,
  ...(otherwise.length > 0 ? { else: otherwise } : {}),
});
const between = (from: readonly Json[], to: readonly Json[], more: JsonObject = {}) =>
  diffDefinitions(aDefinition(from), aDefinition(to, more));
const steps = (changes: JsonObject = {}): JsonObject => ({ added: [], removed: [], moved: [], changed: [], ...changes });

describe('diff of definitions', () => {
  it.each(exampleNames())('finds nothing between %s and itself', (name) => {
    const { definition } = compileDefinition(anExample(name));
    expect(diffDefinitions(definition as JsonObject, JSON.parse(JSON.stringify(definition)) as JsonObject)).toEqual({
      steps: steps(),
      root: [],
    });
  });
  it.each<readonly [string, readonly Json[], readonly Json[], JsonObject]>([
    ['added, also inside', [choose([say('a')])], [choose([say('a'), say('b')]), say('d')], { added: ['b', 'd'] }],
    ['removed with its children', [choose([say('a')]), say('d')], [say('d')], { removed: ['c', 'a'] }],
    ['moved to another slot', [choose([say('a'), say('b')])], [choose([say('b')], [say('a')])], { moved: ['a'] }],
    ['moved out', [choose([say('a'), say('b')])], [say('a'), choose([say('b')])], { moved: ['a'] }],
    ['one moved to the end', [say('a'), say('b'), say('d')], [say('b'), say('d'), say('a')], { moved: ['a'] }],
    ['one put before: nothing moved', [say('a')], [say('n'), say('a')], { added: ['n'] }],
    [
      'a field changed',
      [say('a', 'x')],
      [say('a', 'y')],
      { changed: [{ stepId: 'a', fields: [{ path: '/content', from: 'x', to: 'y' }] }] },
    ],
    [
      'a field new',
      [say('a')],
      [{ ...say('a'), when: '_x' }],
      { changed: [{ stepId: 'a', fields: [{ path: '/when', from: null, to: '_x' }] }] },
    ],
    [
      'deep in arguments',
      [{ id: 't', type: 'tool', tool: 'a:b', arguments: { h: { 'x/y': 1 }, l: [1, 2] } }],
      [{ id: 't', type: 'tool', tool: 'a:b', arguments: { h: { 'x/y': 2 }, l: [1, 3] } }],
      {
        changed: [
          {
            stepId: 't',
            fields: [
              { path: '/arguments/h/x~1y', from: 1, to: 2 },
              { path: '/arguments/l/1', from: 2, to: 3 },
            ],
          },
        ],
      },
    ],
    [
      'the condition of a case, not its steps',
      [{ id: 's', type: 'switch', cases: [{ when: '_x', steps: [say('a')] }] }],
      [{ id: 's', type: 'switch', cases: [{ when: '_y', steps: [say('a', 'z')] }] }],
      {
        changed: [
          { stepId: 's', fields: [{ path: '/cases/0/when', from: '_x', to: '_y' }] },
          { stepId: 'a', fields: [{ path: '/content', from: 'x', to: 'z' }] },
        ],
      },
    ],
  ])('%s', (_, from, to, expected) => {
    expect(between(from, to).steps).toEqual(steps(expected));
  });
  it('tells of the root', () => {
    expect(between([say('a')], [say('a')], { version: '1.0.1', constraints: { maxSteps: 5 } }).root).toEqual([
      { path: '/constraints', from: null, to: { maxSteps: 5 } },
      { path: '/version', from: null, to: '1.0.1' },
    ]);
  });
  it('ignores the order of keys', () => {
    expect(between([say('a')], [{ content: 'x', target: 'chat', type: 'notify', id: 'a' }]).steps).toEqual(steps());
  });
});
