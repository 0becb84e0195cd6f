import { checkAnswer } from '../../src/operations/answer-check.js';

describe('answer of an approval (H12)', () => {
  const form = { type: 'object', required: ['n'], properties: { n: { type: 'number' }, t: { type: 'string', pattern: '^(a+)+$' } } };

  it('accepts what fits the form', () => {
    expect(checkAnswer(form, { n: 1, t: 'aaa' })).toEqual([]);
  });
  it('lists every fault with its place', () => {
    const problems = checkAnswer(form, { t: 5 });
    expect(problems.map(({ code, path }) => [code, path])).toEqual([
      ['answer_invalid', '/n'],
      ['answer_invalid', '/t'],
    ]);
  });
  it('refuses an answer that is missing where a form is asked', () => {
    expect(checkAnswer(form, null)).toHaveLength(1);
  });
  it('reads a pattern in linear time', () => {
    const startedMs = Date.now();
    expect(checkAnswer(form, { n: 1, t: `${'a'.repeat(40_000)}!` })).toHaveLength(1);
    expect(Date.now() - startedMs).toBeLessThan(2_000);
  });
  it('tells several patterns apart', () => {
    const two = { type: 'object', properties: { a: { pattern: '^a$' }, b: { pattern: '^b$' } } };
    expect(checkAnswer(two, { a: 'a', b: 'b' })).toEqual([]);
    expect(checkAnswer(two, { a: 'b', b: 'a' })).toHaveLength(2);
  });
  it('says so when the form itself is no schema', () => {
    expect(checkAnswer({ type: 'banana' }, 1)[0]?.code).toBe('form_invalid');
  });
  it('does not take an asynchronous schema for one that everything fits', () => {
    expect(checkAnswer({ ...form, $async: true }, {})[0]).toMatchObject({
      code: 'form_invalid',
      message: expect.stringContaining('$async'),
    });
  });
  it('reads patterns as JavaScript writes them', () => {
    expect(checkAnswer({ pattern: '^https?:\\/\\/(?<host>[a-z]+)$' }, 'https://here')).toEqual([]);
  });
  it('gives up on a form that would take for ever, and holds nobody up', () => {
    const branches = Array.from({ length: 40 }, (_, n) => [
      `a${n}`,
      { anyOf: [{ $ref: `#/$defs/a${n + 1}` }, { $ref: `#/$defs/a${n + 1}` }] },
    ]);
    const endless = { $defs: { ...Object.fromEntries(branches), a40: { type: 'string' } }, $ref: '#/$defs/a0' };
    const startedMs = Date.now();
    expect(checkAnswer(endless, 5)).toEqual([
      { code: 'form_invalid', severity: 'error', path: '', message: expect.stringContaining('could not be checked within 1000 ms') },
    ]);
    expect(Date.now() - startedMs).toBeLessThan(10_000);
    expect(checkAnswer(form, { n: 1 })).toEqual([]);
  });
});
