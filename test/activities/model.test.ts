import { createModelClient } from '../../src/activities/model/model-client.js';
import { isFailover } from '../../src/activities/model/model-fault.js';
import { joinedMessages, type ModelRequest, textMessage } from '../../src/activities/model/model-message.js';
import type { StepFault } from '../../src/tools/step-fault.js';
import { jsonReadings } from '../../src/activities/model/json-reply.js';
import { readStructuredReply, schemaInstructions } from '../../src/activities/model/structured-output.js';
import type { CallUsage } from '../../src/activities/model/usage-meter.js';
import { demoReply } from '../../src/embedded/demo-model/demo-reply.js';
import { startDemoModel } from '../../src/embedded/demo-model/index.js';
import type { Json } from '../../src/definition/value.js';
import { startModelServer, type ModelReply, type ModelServer } from '../support/model-server.js';

const aRequest = (overrides: Partial<ModelRequest> = {}): ModelRequest => ({
  system: '',
  tools: [],
  messages: [textMessage('user', 'hello')],
  ...overrides,
});
const CALL = { model: 'claude-test', maxTokens: 100, signal: new AbortController().signal };
const textOf = ({ blocks }: { readonly blocks: readonly { readonly type: string }[] }): string =>
  blocks.map((block) => (block.type === 'text' ? (block as { text?: string }).text : '')).join('');

describe('model client', () => {
  let model: ModelServer;
  beforeAll(async () => {
    model = await startModelServer();
  });
  afterAll(() => model.close());
  const turn = (reply: ModelReply, signal = CALL.signal, used: CallUsage[] = []) => {
    model.script(reply);
    const pieces: string[] = [];
    return createModelClient({ apiKey: 'key', baseUrl: model.url })
      .call(aRequest({ system: 'Be brief.' }), {
        ...CALL,
        signal,
        onUsage: (usage) => used.push(usage),
        onText: (piece) => pieces.push(piece),
      })
      .then((done) => ({ ...done, pieces, usage: used.at(-1) }));
  };

  it('streams the text and counts tokens, cache writes as input', async () => {
    expect(await turn({ text: ['Hel', 'lo'], usage: { inputTokens: 12, outputTokens: 3 } })).toEqual({
      blocks: [{ type: 'text', text: 'Hello' }],
      stopReason: 'end_turn',
      model: 'claude-test',
      pieces: ['Hel', 'lo'],
      usage: { inputTokens: 12, outputTokens: 3, cacheReadTokens: 0 },
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
  ] as [ModelReply, object][])('names %j', async (reply, expected) => {
    await expect(turn(reply)).rejects.toMatchObject({ code: 'agent_prompt_model_error', ...expected });
    expect(model.requests).toHaveLength(1);
  });
  it.each([
    [{ error: { status: 529, type: 'overloaded_error' } }, true],
    [{ error: { status: 429, type: 'rate_limit_error' } }, true],
    [{ error: { status: 401, type: 'authentication_error' } }, true],
    [{ error: { status: 402, type: 'billing_error' } }, true],
    [{ error: { status: 404, type: 'not_found_error' } }, true],
    [{ error: { status: 400, type: 'invalid_request_error', message: 'Your credit balance is too low' } }, true],
    [{ error: { status: 400, type: 'invalid_request_error', message: 'model: old-1 is not supported' } }, true],
    [{ text: 'half', fault: 'error_mid' }, true],
    [{ error: { status: 400, type: 'invalid_request_error', message: 'messages: too long' } }, false],
    [{ error: { status: 500, type: 'api_error' } }, false],
    [{ fault: 'drop' }, false],
  ] as [ModelReply, boolean][])('A4: %j is for another model: %s', async (reply, expected) => {
    const fault = await turn(reply).then(
      () => undefined,
      (error: unknown) => error as StepFault,
    );
    expect(fault === undefined ? undefined : isFailover(fault)).toBe(expected);
  });
  it('gives tool calls as blocks, and says the whole of a thread with its results', async () => {
    const reply = await turn({ text: 'Looking.', toolCalls: [{ id: 'toolu_a', name: 'call_tool', input: { toolId: 'x:y' } }] });
    expect(reply).toMatchObject({
      stopReason: 'tool_use',
      blocks: [
        { type: 'text', text: 'Looking.' },
        { type: 'tool_use', id: 'toolu_a', name: 'call_tool', input: { toolId: 'x:y' } },
      ],
    });
  });
  it('marks for the cache where this request ends, and where the one before it ended', async () => {
    model.script({ text: 'ok' });
    const said = ['one', 'two', 'three', 'four', 'five'].map((text, nth) => textMessage(nth % 2 === 0 ? 'user' : 'assistant', text));
    await createModelClient({ apiKey: 'key', baseUrl: model.url }).call(aRequest({ system: 'Be brief.', messages: said }), CALL);
    const { messages, system } = model.requests[0]?.body ?? { messages: [] };
    const marked = messages
      .flatMap(({ content }) => content as { text: string; cache_control?: object }[])
      .filter((block) => block.cache_control !== undefined);
    expect(marked.map(({ text }) => text)).toEqual(['three', 'five']);
    expect(system).toMatchObject([{ cache_control: { type: 'ephemeral' } }]);
  });
  it('says calls back as a provider takes them, whatever it had sent', async () => {
    model.script({ text: 'ok' });
    const content = [
      { type: 'tool_use', id: 'a', name: 'files:read', input: [1] },
      { type: 'tool_use', id: 'b', name: '', input: 'text' },
      { type: 'tool_use', id: 'c', name: 'call_tool', input: { toolId: 'x:y' } },
    ] as const;
    await createModelClient({ apiKey: 'key', baseUrl: model.url }).call(aRequest({ messages: [{ role: 'assistant', content }] }), CALL);
    expect(model.requests[0]?.body.messages[0]?.content).toMatchObject([
      { id: 'a', name: 'files_read', input: {} },
      { id: 'b', name: '_', input: {} },
      { id: 'c', name: 'call_tool', input: { toolId: 'x:y' } },
    ]);
  });
  it('cuts off a reply that does not end', async () => {
    const text = Array.from({ length: 11 }, () => 'x'.repeat(100_000));
    await expect(turn({ text, fault: 'hang_mid' })).rejects.toMatchObject({
      code: 'agent_prompt_model_error',
      retryable: false,
      details: { type: 'reply_too_long', model: 'claude-test' },
    });
    expect(await model.aborted()).toHaveLength(1);
  });
  it('counts announced input and characters / 4 of a call that was cut off', async () => {
    const used: CallUsage[] = [];
    await turn({ text: '12345678', fault: 'cut_mid', usage: { inputTokens: 40, outputTokens: 9 } }, undefined, used).catch(() => undefined);
    expect(used.at(-1)).toMatchObject({ inputTokens: 40, outputTokens: 2, estimated: true });
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

describe('joinedMessages', () => {
  it('puts neighbours of one role together and leaves out what is empty', () => {
    expect(
      joinedMessages([textMessage('user', 'a'), textMessage('user', 'b'), textMessage('assistant', ' '), textMessage('user', 'c')]),
    ).toEqual([{ role: 'user', content: ['a', 'b', 'c'].map((text) => ({ type: 'text', text })) }]);
  });
});

describe('jsonReadings', () => {
  it.each([
    ['bare', '{"a":1}', { a: 1 }],
    ['fenced', 'Here:\n```json\n{"a":1}\n```\nDone', { a: 1 }],
    ['the last fence', '```\n{"a":1}\n```\nbetter:\n```json\n{"a":2}\n```', { a: 2 }],
    ['in prose', 'The answer [1] is {"a":{"b":"}"}} I think {x}', [1]],
    ['an object in prose', 'It is {"a":{"b":"}\\""}}, {x}', { a: { b: '}"' } }],
    ['a fence that does not parse', '```json\n{a}\n```\n{"a":3}', { a: 3 }],
    ['a text value', '"x"', 'x'],
  ])('reads %s', (_name, text, value) => {
    expect([...jsonReadings(text)][0]).toEqual(value);
  });
  it.each(['', 'no json', '{"a":', '```json\n```'])('finds none in %j', (text) => {
    expect([...jsonReadings(text)]).toEqual([]);
  });
  it('ends soon on a text of brackets', () => {
    const at = Date.now();
    expect([...jsonReadings('[{'.repeat(100_000))]).toEqual([]);
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
  it('A3: takes the first reading that fits, never one inside another; extra keys are allowed unless the schema forbids them', () => {
    const open: Json = { type: 'object', properties: { n: { type: 'number' } }, required: ['n'] };
    expect(readStructuredReply('As in [1]: {"n":5,"more":true}.', open)).toEqual({ ok: true, value: { n: 5, more: true } });
    expect(readStructuredReply('{"a":{"n":5}}', open)).toMatchObject({ ok: false });
    expect(readStructuredReply('{"n":"5"}', open)).toMatchObject({
      ok: false,
      error: expect.stringContaining('/n must be number') as string,
    });
  });
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
  it('is not held up by a schema that asks for more than a lifetime', () => {
    const $defs = Object.fromEntries(
      Array.from({ length: 29 }, (_, n) => [
        `a${n}`,
        n === 28 ? { type: 'string' } : { anyOf: [{ $ref: `#/$defs/a${n + 1}` }, { $ref: `#/$defs/a${n + 1}` }] },
      ]),
    );
    const before = Date.now();
    expect(readStructuredReply('7', { $ref: '#/$defs/a0', $defs })).toEqual({
      ok: false,
      error: expect.stringContaining('could not be checked within 1000 ms'),
    });
    expect(Date.now() - before).toBeLessThan(10_000);
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
    const reply = await createModelClient({ apiKey: 'none', baseUrl: demo.url }).call(
      aRequest({ messages: [textMessage('user', `Judge.${schemaInstructions(schema)}`)] }),
      CALL,
    );
    expect(readStructuredReply(textOf(reply), schema)).toMatchObject({ ok: true });
    await demo.close();
  });
  it.each([
    ['Which tools do you have?', { name: 'list_tools', input: {} }],
    ['Please list all the tools.', { name: 'list_tools', input: {} }],
    [
      'Fetch https://example.test/a?b=1. Thanks',
      { name: 'call_tool', input: { toolId: 'http:request', params: { url: 'https://example.test/a?b=1' } } },
    ],
    [
      'Use http:request for https://example.test/x',
      { name: 'call_tool', input: { toolId: 'http:request', params: { url: 'https://example.test/x' } } },
    ],
    [
      'Call files:write with {"path":"a.txt","content":"{}"} now',
      { name: 'call_tool', input: { toolId: 'files:write', params: { path: 'a.txt', content: '{}' } } },
    ],
    ['Call skills:list', { name: 'call_tool', input: { toolId: 'skills:list', params: {} } }],
    ['It is 12:30 on https://example.test:80/, nothing to do', undefined],
    ['Summarise: https://example.test/ is down', undefined],
  ])('calls the tool that is asked for: %s', (text, call) => {
    const tools = [{ name: 'list_tools' }, { name: 'call_tool' }];
    const reply = demoReply({ messages: [{ role: 'user', content: text }], tools });
    expect(reply.toolCalls).toMatchObject(call === undefined ? [] : [call]);
    expect(reply.toolCalls).toHaveLength(call === undefined ? 0 : 1);
    expect(reply.text).toContain('[demo model]');
    expect(demoReply({ messages: [{ role: 'user', content: text }], tools: [] }).toolCalls).toEqual([]);
  });
  it('tells of a result, also before it answers by a schema', () => {
    const schema = { type: 'object', properties: { n: { type: 'number' } }, required: ['n'] };
    const messages = [
      { role: 'user', content: `Fetch https://example.test/.${schemaInstructions(schema)}` },
      { role: 'assistant', content: [{ type: 'tool_use', id: 'x', name: 'call_tool', input: {} }] },
      {
        role: 'user',
        content: [{ type: 'tool_result', tool_use_id: 'x', content: 'Result of http:request.\n<data>\nhello there\n</data>' }],
      },
    ];
    const tools = [{ name: 'call_tool' }];
    expect(demoReply({ messages: messages.slice(0, 1), tools }).toolCalls).toHaveLength(1);
    expect(readStructuredReply(demoReply({ messages, tools }).text, schema)).toMatchObject({ ok: true });
    const plain = demoReply({ messages: [{ role: 'user', content: 'Fetch https://example.test/' }, ...messages.slice(1)], tools });
    expect(plain).toMatchObject({ text: expect.stringMatching(/\[demo model\].*hello there/) as string, toolCalls: [] });
  });
  it('speaks the protocol when it calls', async () => {
    const demo = await startDemoModel({ wordDelayMs: 0 });
    const request = aRequest({
      messages: [textMessage('user', 'List the tools')],
      tools: [{ name: 'list_tools', description: '', input_schema: { type: 'object' } }],
    });
    const reply = await createModelClient({ apiKey: 'none', baseUrl: demo.url }).call(request, CALL);
    expect(reply).toMatchObject({
      stopReason: 'tool_use',
      blocks: [{ type: 'text' }, { type: 'tool_use', name: 'list_tools', input: {} }],
    });
    await demo.close();
  });
  it('labels itself, streamed and whole alike', async () => {
    const demo = await startDemoModel({ wordDelayMs: 0 });
    const streamed = await createModelClient({ apiKey: 'none', baseUrl: demo.url }).call(aRequest(), CALL);
    const whole = (await (
      await fetch(`${demo.url}/v1/messages`, { method: 'POST', body: JSON.stringify({ model: 'm', messages: aRequest().messages }) })
    ).json()) as { content: { text: string }[] };
    expect(textOf(streamed)).toMatch(/^\[demo model\].*hello/);
    expect(whole.content[0]?.text).toBe(textOf(streamed));
    expect((await fetch(`${demo.url}/v1/messages`, { method: 'POST', body: '{' })).status).toBe(400);
    await demo.close();
  });
});
