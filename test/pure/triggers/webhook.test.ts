import { createHmac } from 'node:crypto';
import { deliveryIdOf, payloadOf, type WebhookCall } from '../../../src/operations/triggers/webhook-payload.js';
import { isSigned } from '../../../src/operations/triggers/webhook-signature.js';
import { mapPayload, mappingProblems, parsePath } from '../../../src/operations/triggers/variable-mapping.js';

const raw = Buffer.from('{"a":1}');
const hmac = (secret: string, body: Uint8Array = raw) => createHmac('sha256', secret).update(body).digest('hex');

describe('the signature of a webhook', () => {
  it.each([
    ['bare', hmac('new'), true],
    ['with its prefix', `sha256=${hmac('new')}`, true],
    ['in capitals', hmac('new').toUpperCase(), true],
    ['T3 of the previous secret', hmac('old'), true],
    ['of another secret', hmac('other'), false],
    ['of another body', hmac('new', Buffer.from('{"a":2}')), false],
    ['missing', undefined, false],
    ['empty', '', false],
    ['cut', hmac('new').slice(0, 62), false],
    ['of another algorithm', `sha1=${hmac('new')}`, false],
  ])('%s is %s', (_what, header, expected) => {
    expect(isSigned(raw, header, ['new', 'old'])).toBe(expected);
  });
});

const call = (overrides: Partial<WebhookCall> & { readonly body?: string | Uint8Array } = {}): WebhookCall => {
  const { body = '', ...rest } = overrides;
  return { method: 'POST', headers: {}, query: [], raw: Buffer.from(body as string), ...rest };
};
const typed = (type: string) => ({ 'content-type': type });

describe('the payload of a webhook', () => {
  it.each([
    ['an object as it is', call({ body: '{"x":{"y":[5]},"_trigger":1}' }), { x: { y: [5] }, _trigger: 1 }],
    ['the query beside it', call({ body: '{"a":1}', query: [['q', '1']] }), { a: 1, query: { q: '1' } }],
    ['not the query over the body’s own', call({ body: '{"query":"mine"}', query: [['q', '1']] }), { query: 'mine' }],
    ['a list under body', call({ body: '[1,2]' }), { body: [1, 2] }],
    ['a number under body', call({ body: '7' }), { body: 7 }],
    ['text that is no JSON under body', call({ body: 'hello', headers: typed('text/plain') }), { body: 'hello' }],
    ['broken JSON as text', call({ body: '{"a":', headers: typed('application/json') }), { body: '{"a":' }],
    [
      'a form as an object',
      call({ body: 'a=1&b=x+y&a=2', headers: typed('application/x-www-form-urlencoded') }),
      { a: ['1', '2'], b: 'x y' },
    ],
    ['nothing of an empty body', call(), {}],
    [
      'the query of a GET, never a body',
      call({
        method: 'GET',
        query: [
          ['a', '1'],
          ['a', '2'],
          ['b', ''],
        ],
        body: '{"z":1}',
      }),
      { a: ['1', '2'], b: '' },
    ],
  ])('has %s', async (_what, given, expected) => {
    expect(await payloadOf(given)).toEqual(expected);
  });

  it('has the fields of a multipart form, and of files what they are', async () => {
    const form = new FormData();
    form.set('title', 'hi');
    form.set('file', new File(['12345'], 'a.txt', { type: 'text/plain' }));
    const sent = new Response(form);
    const payload = await payloadOf(
      call({ body: new Uint8Array(await sent.arrayBuffer()), headers: typed(sent.headers.get('content-type') ?? '') }),
    );
    expect(payload).toEqual({ title: 'hi', file: { filename: 'a.txt', contentType: 'text/plain', bytes: 5 } });
  });

  it('keeps a key called __proto__ as data', async () => {
    const payload = await payloadOf(call({ body: '{"__proto__":{"admin":true}}' }));
    expect([Object.keys(payload), ({} as { admin?: boolean }).admin]).toEqual([['__proto__'], undefined]);
  });
});

describe('the id of a delivery', () => {
  it.each([
    ['GitHub’s first', { 'x-request-id': 'c', 'x-webhook-id': 'b', 'x-github-delivery': 'a' }, 'a'],
    ['then the webhook’s', { 'x-request-id': 'c', 'x-webhook-id': 'b' }, 'b'],
    ['then the request’s', { 'x-request-id': ' c ' }, 'c'],
    ['never an empty one', { 'x-github-delivery': ' ', 'x-request-id': '' }, undefined],
  ])('is %s', (_what, headers, expected) => {
    expect(deliveryIdOf(headers)).toBe(expected);
  });
});

describe('variableMapping', () => {
  it.each([
    ['$.a.b[0]', ['a', 'b', 0]],
    ['$.a.0.b', ['a', '0', 'b']],
    ['$.x-y.z', ['x-y', 'z']],
    ['$.["x.y"].z', ['x.y', 'z']],
    ['$.a["x.y"][2]', ['a', 'x.y', 2]],
    ['$', undefined],
    ['$[0]', undefined],
    ['$["x-y"].z', undefined],
    ['a.b', undefined],
    ['$a', undefined],
    ['$.', undefined],
    ['$.a[', undefined],
    ['$.a[x]', undefined],
  ])('reads the path %s', (path, keys) => {
    expect(parsePath(path)).toEqual(keys);
  });

  it('T4 takes own properties at any depth and leaves out what is not there', () => {
    const payload = { x: { y: [5, { z: null }] }, text: 'abc' };
    const mapping = {
      a: '$.x.y[0]',
      b: '$.no',
      c: '$.x.y[1].z',
      d: '$.x.constructor',
      e: '$.x.y.length',
      f: '$.text.length',
      g: '$.x.y[9]',
      h: '$.x.__proto__',
      whole: '$.x',
    };
    expect(mapPayload(mapping, payload)).toEqual({ a: 5, c: null, whole: payload.x });
  });

  it('tells every path that is none, and names of the trigger’s own', () => {
    expect(mappingProblems({ ok: '$.a', bad: 'a', _trigger: '$.a', 'x/y': '$' })).toMatchObject([
      { path: '/variableMapping/bad' },
      { path: '/variableMapping/_trigger' },
      { path: '/variableMapping/x~1y' },
    ]);
  });
});
