import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { compileDefinition } from '../../src/definition/compile/compile.js';
import { renderDefinitionReference } from '../../src/definition/definition-docs.js';
import { LIBRARY } from '../../src/definition/expression/library.js';
import { definitionJsonSchema } from '../../src/definition/json-schema.js';
import { checkJsonSchema, createSchemaCheck, normalizeOutputSchema } from '../../src/definition/output-schema.js';
import { STEP_SCHEMAS, STEP_TYPES } from '../../src/definition/schema/steps.js';
import type { Json, JsonObject } from '../../src/definition/value.js';
import { walkSteps } from '../../src/definition/blocks.js';
import { SET, aDefinition, anExample, exampleNames } from './definitions.js';

const TOOLS = new Set(['http:request', 'workflows:get_workflow', 'workflows:create_workflow_proposal']);

describe('V12 JSON Schema', () => {
  const check = createSchemaCheck(definitionJsonSchema());
  it('is a JSON Schema of 2020-12 with steps inside steps', () => {
    expect(definitionJsonSchema()['$schema']).toBe('https://json-schema.org/draft/2020-12/schema');
    expect(checkJsonSchema(definitionJsonSchema())).toHaveProperty('schema');
    expect(JSON.stringify(definitionJsonSchema())).toContain('#/$defs/Step');
  });
  it.each(exampleNames())('accepts %s, as the compiler does without any problem', (name) => {
    expect(check(anExample(name))).toEqual([]);
    expect(compileDefinition(anExample(name), { tools: TOOLS }).problems).toEqual([]);
  });
  it('has twelve examples', () => {
    expect(exampleNames()).toHaveLength(12);
  });
  it.each<readonly [string, Json]>([
    ['type banana (V1)', aDefinition([{ type: 'banana' }])],
    ['a step nested in a branch of unknown type', aDefinition([{ type: 'conditional', condition: 'x', then: [{ type: 'banana' }] }])],
    ['no name', { steps: [SET] }],
    ['no steps', { name: 'x', steps: [] }],
    ['an unknown field', aDefinition([{ ...SET, colour: 1 }])],
    ['a bash step without command', aDefinition([{ type: 'bash' }])],
    ['an id with a slash', aDefinition([{ id: 'a/b', ...SET }])],
    ['a loop without over and while', aDefinition([{ type: 'loop', steps: [SET] }])],
    ['a loop with both', aDefinition([{ type: 'loop', over: [1], while: 'x', steps: [SET] }])],
    ['concurrency 51', aDefinition([{ type: 'loop', over: [1], steps: [SET], concurrency: 51 }])],
  ])('refuses %s', (_, definition) => {
    expect(check(definition)).not.toEqual([]);
  });
  it('describes every field of every step', () => {
    const alternatives = ((definitionJsonSchema()['$defs'] as JsonObject)['Step'] as JsonObject)['oneOf'] as readonly JsonObject[];
    expect(alternatives).toHaveLength(15);
    for (const step of alternatives) {
      for (const [name, field] of Object.entries(step['properties'] as JsonObject))
        if (name !== 'type') expect([name, typeof (field as JsonObject)['description']]).toEqual([name, 'string']);
    }
  });
});

describe('the release check', () => {
  it('shows a conditional, a bounded-parallel loop, a parallel, try with catch and finally, an agent, an approval and a notice', () => {
    const definition = anExample('release-check.json');
    const types = [...walkSteps(definition['steps'] as readonly Json[], [])].map(({ step }) => step['type']);
    for (const type of ['conditional', 'loop', 'parallel', 'try', 'agent_prompt', 'approval', 'notify', 'tool', 'set'])
      expect(types).toContain(type);
  });
});

describe('docs/definition.md', () => {
  it('is what the schemas say; to renew it: UPDATE_DOCS=1 npx jest test/definition/language', () => {
    const path = join(__dirname, '../../docs/definition.md');
    // The only writer of this page is this test: a second script would be one more thing to keep.
    if (process.env['UPDATE_DOCS'] === '1') require('node:fs').writeFileSync(path, renderDefinitionReference());
    expect(readFileSync(path, 'utf8')).toBe(renderDefinitionReference());
  });
  it('names every type, every field and every function', () => {
    const text = renderDefinitionReference();
    for (const type of STEP_TYPES) {
      expect(text).toContain(`## \`${type}\``);
      for (const field of Object.keys(STEP_SCHEMAS[type].shape)) expect(text).toContain(`\`${field}\``);
    }
    for (const { usage } of Object.values(LIBRARY)) expect(text).toContain(`\`${usage.replaceAll('|', '\\|')}\``);
  });
});

describe('output schemas', () => {
  it('brings a field map to JSON Schema; a field is required unless it says otherwise', () => {
    expect(
      normalizeOutputSchema({
        verdict: { type: 'string', enum: ['accept', 'reject'] },
        reason: { type: 'string', required: false, description: 'why' },
        list: { type: 'array', items: { type: 'number' } },
        inner: { type: 'object', properties: { n: { type: 'integer' } } },
      }),
    ).toEqual({
      schema: {
        type: 'object',
        required: ['verdict', 'list', 'inner'],
        properties: {
          verdict: { type: 'string', enum: ['accept', 'reject'] },
          reason: { type: 'string', description: 'why' },
          list: { type: 'array', items: { type: 'number' } },
          inner: { type: 'object', properties: { n: { type: 'integer' } }, required: ['n'] },
        },
      },
    });
  });
  it('takes fields named type and properties', () => {
    expect(normalizeOutputSchema({ type: { type: 'string' }, properties: { type: 'array' } })).toMatchObject({
      schema: { properties: { type: { type: 'string' }, properties: { type: 'array' } }, required: ['type', 'properties'] },
    });
  });
  it('leaves a JSON Schema as it is', () => {
    for (const schema of [
      { type: 'object', properties: { a: { type: 'string' } } },
      { anyOf: [{ type: 'string' }, { type: 'null' }] },
      { $ref: '#/$defs/a', $defs: { a: { type: 'string' } } },
      { type: ['string', 'null'] },
    ])
      expect(normalizeOutputSchema(schema)).toEqual({ schema });
  });
  it.each<readonly [string, JsonObject, readonly (string | number)[]]>([
    ['a mistyped type', { a: { type: 'strin' } }, ['a', 'type']],
    ['a type missing', { a: { description: 'x' } }, ['a', 'type']],
    ['nothing', {}, []],
    [
      'a nested mistyped type',
      { type: 'object', properties: { a: { type: 'array', items: { type: 'strng' } } } },
      ['properties', 'a', 'items', 'type'],
    ],
    ['a reference to nowhere', { type: 'object', properties: { a: { $ref: '#/$defs/nope' } } }, []],
    ['a remote reference', { $ref: 'https://example.com/schema.json' }, []],
    ['a required that is no list', { type: 'object', required: 'a' }, ['required']],
    ['a broken pattern', { type: 'string', pattern: '(' }, []],
  ])('refuses %s', (_, raw, path) => {
    const result = normalizeOutputSchema(raw);
    expect('faults' in result && result.faults[0]?.path).toEqual(path);
  });
  it('suggests the nearest type', () => {
    expect(normalizeOutputSchema({ a: { type: 'strin' } })).toMatchObject({ faults: [{ suggestion: 'Did you mean "string"?' }] });
  });
  it('does not let one schema see another', () => {
    const named = { $id: 'https://x/a', type: 'string' };
    expect(normalizeOutputSchema(named)).toEqual({ schema: named });
    expect(normalizeOutputSchema({ ...named, type: 'number' })).toHaveProperty('schema');
    expect(normalizeOutputSchema({ $ref: 'https://x/a' })).toHaveProperty('faults');
  });
  it('checks values', () => {
    const check = createSchemaCheck({ type: 'object', required: ['n'], properties: { n: { type: 'number' } } });
    expect(check({ n: 1 })).toEqual([]);
    expect(check({})).toEqual(["The value: must have required property 'n'"]);
    expect(check({ n: 'x' })).toEqual(['/n: must be number']);
  });
});
