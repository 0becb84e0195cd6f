import { createModelClient, type TurnRequest } from '../../src/activities/model/model-client.js';
import { readJsonReply } from '../../src/activities/model/json-reply.js';
import { readStructuredReply, schemaInstructions } from '../../src/activities/model/structured-output.js';
import { UsageMeter } from '../../src/activities/model/usage-meter.js';
import { startDemoModel } from '../../src/embedded/demo-model/index.js';
import type { Json } from '../../src/definition/value.js';
import { startModelServer, type ModelReply, type ModelServer } from '../support/model-server.js';

const aTurn = (overrides: Partial<TurnRequest> = {}): TurnRequest => ({
  model: 'claude-test',
  messages: [{ role: 'user', content: 'hello' }],
  maxTokens: 100,
  ...overrides,
});

describe('model client', () => {
  let model: ModelServer;
  beforeAll(async () => {
    model = await startModelServer();
  });
  afterAll(() => model.close());
  const turn = (reply: ModelReply, signal = new AbortController().signal, meter = new UsageMeter()) => {
    model.script(reply);
    const pieces: string[] = [];
    return createModelClient({ apiKey: 'key', baseUrl: model.url })
      .turn(aTurn({ system: 'Be brief.' }), { signal, meter, onText: (piece) => pieces.push(piece) })
      .then((done) => ({ ...done, pieces, usage: meter.total }));
  };

  it('streams the text and counts tokens, cache writes as input', async () => {
    expect(await turn({ text: ['Hel', 'lo'], usage: { inputTokens: 12, outputTokens: 3 } })).toEqual({
      text: 'Hello',
      stopReason: 'end_turn',
      model: 'claude-test',
      pieces: ['Hel', 'lo'],
      usage: { inputTokens: 12, outputTokens: 3, cacheReadTokens: 0, models: ['claude-test'] },
    });
    expect(model.requests[0]?.body).toMatchObject({
      stream: true,
      max_tokens: 100,
      system: [{ text: 'Be brief.', cache_control: { type: 'ephemeral' } }],
    });
  });
  it.each([
    [
      { error: { status: 429, type: 'rate_limit_error', headers: { 'retry-after': '7' } } },
      { retryable: true, retryAfterMs: 7_000, details: { status: 429, type: 'rate_limit_error' } },
    ],
    [{ error: { status: 529, type: 'overloaded_error' } }, { retryable: true, details: { status: 529, type: 'overloaded_error' } }],
    [{ error: { status: 500, type: 'api_error' } }, { retryable: true, details: { status: 500 } }],
    [
      { error: { status: 401, type: 'authentication_error' } },
      { retryable: false, details: { status: 401, type: 'authentication_error', model: 'claude-test' } },
    ],
    [{ error: { status: 402, type: 'billing_error' } }, { retryable: false, details: { status: 402 } }],
    [{ error: { status: 404, type: 'not_found_error' } }, { retryable: false, details: { status: 404 } }],
    [
      { text: 'half', fault: 'error_mid' },
      { retryable: true, details: { status: null, type: 'overloaded_error' } },
    ],
    [
      { text: 'half', fault: 'error_mid', error: { status: 0, type: 'invalid_request_error' } },
      { retryable: false, details: { status: null, type: 'invalid_request_error' } },
    ],
    [
      { text: 'half', fault: 'cut_mid' },
      { retryable: true, details: { status: null, type: 'stream_interrupted' } },
    ],
    [
      { text: 'half', fault: 'unfinished' },
      { retryable: true, details: { type: 'stream_interrupted' } },
    ],
    [{ fault: 'drop' }, { retryable: true, details: { status: null, type: 'connection_error' } }],
    [
      { text: 'no', stopReason: 'refusal' },
      { retryable: false, details: { type: 'refusal' } },
    ],
  ] as [ModelReply, object][])('names %j', async (reply, expected) => {
    await expect(turn(reply)).rejects.toMatchObject({ code: 'agent_prompt_model_error', ...expected });
    expect(model.requests).toHaveLength(1);
  });
  it('takes an empty reply for agent_prompt_empty_response', async () => {
    await expect(turn({ text: ' \n' })).rejects.toMatchObject({ code: 'agent_prompt_empty_response' });
  });
  it('counts announced input and characters / 4 of a call that was cut off', async () => {
    const meter = new UsageMeter();
    await turn({ text: '12345678', fault: 'cut_mid', usage: { inputTokens: 40, outputTokens: 9 } }, undefined, meter).catch(
      () => undefined,
    );
    expect(meter.total).toMatchObject({ inputTokens: 40, outputTokens: 2 });
  });
  it.each(['hang', 'hang_mid'] as const)('D9: an abort closes the connection at once (%s)', async (fault) => {
    const cancel = new AbortController();
    const running = turn({ text: 'half', fault }, cancel.signal);
    running.catch(() => undefined);
    await model.called();
    cancel.abort(new Error('cancelled'));
    await expect(running).rejects.toThrow('cancelled');
    expect(await model.aborted()).toHaveLength(1);
  });
});

describe('readJsonReply', () => {
  it.each([
    ['bare', '{"a":1}', { a: 1 }],
    ['fenced', 'Here:\n```json\n{"a":1}\n```\nDone', { a: 1 }],
    ['the last fence', '```\n{"a":1}\n```\nbetter:\n```json\n{"a":2}\n```', { a: 2 }],
    ['in prose', 'The answer [1] is {"a":{"b":"}"}} I think {x}', [1]],
    ['an object in prose', 'It is {"a":{"b":"}\\""}}, {x}', { a: { b: '}"' } }],
    ['a fence that does not parse', '```json\n{a}\n```\n{"a":3}', { a: 3 }],
    ['a text value', '"x"', 'x'],
  ])('reads %s', (_name, text, value) => {
    expect(readJsonReply(text)).toEqual({ found: true, value });
  });
  it.each(['', 'no json', '{"a":', '```json\n```'])('finds none in %j', (text) => {
    expect(readJsonReply(text)).toEqual({ found: false });
  });
  it('ends soon on a text of brackets', () => {
    const at = Date.now();
    readJsonReply('[{'.repeat(100_000));
    expect(Date.now() - at).toBeLessThan(1_000);
  });
});

describe('readStructuredReply', () => {
  const schema: Json = {
    $schema: 'http://json-schema.org/draft-07/schema#',
    type: 'object',
    properties: { n: { type: 'integer' }, t: { type: 'string', pattern: '^(a+)+$' } },
    required: ['n'],
    additionalProperties: false,
  };
  it('takes what fits', () => expect(readStructuredReply('{"n":1,"t":"aa"}', schema)).toEqual({ ok: true, value: { n: 1, t: 'aa' } }));
  it('says every fault with its place', () => {
    expect(readStructuredReply('{"t":"b","x":1}', schema)).toEqual({
      ok: false,
      error: expect.stringMatching(/required property 'n'.*additional.*\/t must match pattern/) as string,
    });
  });
  it('is not slowed by a hostile pattern', () => {
    const at = Date.now();
    expect(readStructuredReply(JSON.stringify({ n: 1, t: `${'a'.repeat(40)}!` }), schema).ok).toBe(false);
    expect(Date.now() - at).toBeLessThan(500);
  });
  it('says that a schema cannot be used', () => {
    expect(readStructuredReply('{}', { $ref: 'https://x.test/schema' })).toMatchObject({
      ok: false,
      error: expect.stringContaining('cannot be used') as string,
    });
  });
});

describe('demo model', () => {
  it.each([
    [
      {
        type: 'object',
        properties: {
          failed: { type: 'number' },
          verdict: { enum: ['accept', 'reject'] },
          items: { type: 'array', items: { $ref: '#/$defs/x' } },
        },
        required: ['failed', 'verdict', 'items'],
        $defs: { x: { type: 'object', properties: { when: { type: 'string', minLength: 6 } }, required: ['when'] } },
      },
    ],
    [{ anyOf: [{ type: 'integer', minimum: 5 }, { type: 'null' }] }],
    [{ type: ['string', 'null'], maxLength: 3 }],
  ] as Json[][])('answers a prompt with a schema by a value that fits: %j', async (schema) => {
    const demo = await startDemoModel({ wordDelayMs: 0 });
    const reply = await createModelClient({ apiKey: 'none', baseUrl: demo.url }).turn(
      aTurn({ messages: [{ role: 'user', content: `Judge.${schemaInstructions(schema)}` }] }),
      { signal: new AbortController().signal, meter: new UsageMeter() },
    );
    expect(readStructuredReply(reply.text, schema)).toMatchObject({ ok: true });
    await demo.close();
  });
  it('labels itself, streamed and whole alike', async () => {
    const demo = await startDemoModel({ wordDelayMs: 0 });
    const streamed = await createModelClient({ apiKey: 'none', baseUrl: demo.url }).turn(aTurn(), {
      signal: new AbortController().signal,
      meter: new UsageMeter(),
    });
    const whole = (await (
      await fetch(`${demo.url}/v1/messages`, { method: 'POST', body: JSON.stringify({ model: 'm', messages: aTurn().messages }) })
    ).json()) as { content: { text: string }[] };
    expect(streamed.text).toMatch(/^\[demo model\].*hello/);
    expect(whole.content[0]?.text).toBe(streamed.text);
    expect((await fetch(`${demo.url}/v1/messages`, { method: 'POST', body: '{' })).status).toBe(400);
    await demo.close();
  });
});
