import type { Json } from '../../../src/definition/value.js';
import { answerOf, errorsByField, formBlocks, type FormState } from '../../../src/realtime/slack/answer-form.js';

const FORM = {
  type: 'object',
  required: ['n', 'env', 'ok'],
  properties: {
    n: { type: 'number', title: 'How many', minimum: 1, maximum: 9, default: 2 },
    whole: { type: 'integer' },
    env: { enum: ['staging', 'production'], default: 'staging' },
    level: { enum: [1, 2, 3] },
    ok: { type: 'boolean' },
    note: { type: 'string', maxLength: 50, description: 'For the log' },
    tags: { type: 'array', items: { type: 'string' } },
  },
};
const typed = (value: string) => ({ value: { type: 'x', value } });
const chosen = (value: string) => ({ value: { type: 'static_select', selected_option: { text: {}, value } } });
const state = (fields: { readonly [index: number]: object }): FormState =>
  Object.fromEntries(Object.entries(fields).map(([index, field]) => [`field_${index}`, field])) as FormState;

describe('a form in Slack', () => {
  it('has a field of its kind for each property, required or not, with what is given before', () => {
    expect(formBlocks(FORM)).toMatchObject([
      {
        type: 'input',
        block_id: 'field_0',
        optional: false,
        label: { text: 'How many' },
        element: { type: 'number_input', is_decimal_allowed: true, min_value: '1', max_value: '9', initial_value: '2' },
      },
      { optional: true, label: { text: 'whole' }, element: { type: 'number_input', is_decimal_allowed: false } },
      {
        optional: false,
        element: { type: 'static_select', options: [{ value: '0' }, { value: '1' }], initial_option: { text: { text: 'staging' } } },
      },
      { element: { type: 'static_select', options: [{ text: { text: '1' } }, {}, {}] } },
      { optional: false, element: { type: 'static_select', options: [{ value: 'true' }, { value: 'false' }] } },
      { hint: { text: 'For the log' }, element: { type: 'plain_text_input', multiline: false, max_length: 50 } },
      { hint: { text: 'as JSON' }, element: { type: 'plain_text_input', multiline: true } },
    ]);
  });

  it.each<[string, object, object]>([
    ['a default that is no whole number', { type: 'integer', default: 1.5 }, { is_decimal_allowed: false }],
    ['a default below the minimum', { type: 'number', minimum: 5, default: 1 }, { is_decimal_allowed: true, min_value: '5' }],
    ['bounds that contradict each other', { type: 'number', minimum: 5, maximum: 1 }, { is_decimal_allowed: true }],
    ['numbers that need an exponent', { type: 'number', minimum: 1e-7, maximum: 1e300, default: 1e21 }, { is_decimal_allowed: true }],
    [
      'bounds between whole numbers',
      { type: 'integer', minimum: 0.5, maximum: 9.5, default: 3 },
      { is_decimal_allowed: false, min_value: '1', max_value: '9', initial_value: '3' },
    ],
    [
      'a default that is too short',
      { type: 'string', minLength: 5, default: 'abc' },
      { multiline: true, max_length: 3_000, min_length: 5 },
    ],
    ['a default that is too long', { type: 'string', maxLength: 2, default: 'abc' }, { multiline: false, max_length: 2 }],
  ])('leaves out what Slack would refuse the whole form for: %s', (_, field, expected) => {
    const [block] = formBlocks({ type: 'object', properties: { a: field as Json } });
    expect(block?.['element']).toEqual({ action_id: 'value', type: expect.stringMatching(/number_input|plain_text_input/), ...expected });
  });

  it('gives a field without a name something to be called', () => {
    expect(formBlocks({ type: 'object', properties: { '': { type: 'string' }, ' ': true } })).toMatchObject([
      { label: { text: 'Without a name' } },
      { label: { text: 'Without a name' } },
    ]);
  });

  it('is read back with its types; what is left empty is left out', () => {
    const filled = state({ 0: typed('2.5'), 2: chosen('1'), 3: chosen('2'), 4: chosen('false'), 5: typed('hi'), 6: typed('["a"]') });
    expect(answerOf(FORM, filled)).toEqual({ answer: { n: 2.5, env: 'production', level: 3, ok: false, note: 'hi', tags: ['a'] } });
    expect(answerOf(FORM, {})).toEqual({ answer: {} });
  });

  it('says beside the field what cannot be read', () => {
    expect(answerOf(FORM, state({ 0: typed('many'), 6: typed('a, b') }))).toEqual({
      errors: { field_0: 'Write a number', field_6: expect.stringContaining('JSON') },
    });
  });

  it.each<[string, Json]>([
    ['a list', { type: 'array', items: { type: 'number' } }],
    ['a choice of shapes', { oneOf: [{ type: 'string' }, { type: 'object' }] }],
    ['anything', true],
    ['no properties', { type: 'object' }],
    [
      'too many properties',
      { type: 'object', properties: Object.fromEntries(Array.from({ length: 91 }, (_, i) => [`p${i}`, { type: 'string' }])) },
    ],
  ])('is one field of JSON for %s', (_what, form) => {
    expect(formBlocks(form)).toMatchObject([{ label: { text: 'Answer (JSON)' }, element: { type: 'plain_text_input', multiline: true } }]);
    expect(answerOf(form, state({ 0: typed('[1, 2]') }))).toEqual({ answer: [1, 2] });
    expect(answerOf(form, {})).toEqual({ answer: null });
  });

  it.each<[string, Json]>([
    ['a reference', { $ref: '#/$defs/x' }],
    ['a choice with more than fits', { enum: Array.from({ length: 101 }, (_, i) => i) }],
    ['a choice of objects', { enum: [{ a: 1 }] }],
    ['several types', { type: ['string', 'null'] }],
    ['no schema', true],
  ])('takes JSON for a property with %s', (_what, property) => {
    expect(formBlocks({ type: 'object', properties: { p: property } })).toMatchObject([
      { label: { text: 'p' }, hint: { text: 'as JSON' } },
    ]);
  });

  it('keeps names that mean something to JavaScript as data', () => {
    const form = JSON.parse('{"type":"object","properties":{"__proto__":{"type":"string"},"constructor":{"type":"string"}}}') as Json;
    const filled = answerOf(form, state({ 0: typed('a'), 1: typed('b') }));
    expect(JSON.stringify(filled)).toBe('{"answer":{"__proto__":"a","constructor":"b"}}');
    expect(({} as { polluted?: string }).polluted).toBeUndefined();
  });

  it('puts what is wrong with an answer beside its field; the rest beside the first', () => {
    const problems = [
      { path: '/note', message: 'too long' },
      { path: '/env', message: 'not one of them' },
      { path: '', message: 'must have ok' },
      { path: '/note', message: 'wrong' },
    ];
    expect(errorsByField(FORM, problems)).toEqual({ field_5: 'too long; wrong', field_2: 'not one of them', field_0: 'must have ok' });
    expect(errorsByField({ type: 'object', properties: { 'a/b~c': {} } }, [{ path: '/a~1b~0c', message: 'no' }])).toEqual({
      field_0: 'no',
    });
  });
});
