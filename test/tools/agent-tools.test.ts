import type { PlannedCall } from '../../src/tools/agent/agent-tools.js';
import { modelTools } from '../../src/tools/agent/model-tools.js';
import { deniedResult, outcomeUnknown } from '../../src/tools/agent/person-results.js';
import { AppError } from '../../src/errors.js';
import { StepFault } from '../../src/tools/step-fault.js';
import type { ToolSource } from '../../src/tools/toolbox.js';
import { aContext, AgentUnderTest, aTool } from './support/fake-tools.js';

const ANA = { ownerId: 'usr_ana', allow: undefined };
const calling = (toolId: string, params: unknown = {}, summary: string | undefined = 'why') => ({
  name: 'call_tool',
  input: { toolId, params, ...(summary === undefined ? {} : { summary }) },
});
const errorOf = (planned: PlannedCall) => (planned.kind === 'refused' ? planned.error : undefined);

describe('planning a model’s call', () => {
  const under = new AgentUnderTest([
    ['files:read', 'low'],
    ['files:write', 'low'],
    ['mail:send', 'medium'],
    ['mail:wipe', 'high'],
  ]);

  it('runs a low one, with the id of the tool behind call_tool', async () => {
    expect(await under.agent.plan(calling('files:read', { text: 'a' }, ' read\n it '), ANA)).toEqual({
      kind: 'run',
      toolId: 'files:read',
      params: { text: 'a' },
      summary: 'read it',
      queue: 'core',
      mayRepeat: true,
      limitMs: 5_000,
      needsApproval: false,
      reason: 'tools of low risk, by default',
    });
  });

  it('A9: holds one of medium risk for a person, who needs a summary', async () => {
    expect(await under.agent.plan(calling('mail:send'), ANA)).toMatchObject({ kind: 'run', needsApproval: true });
    expect(errorOf(await under.agent.plan(calling('mail:send', {}, ' '), ANA))).toMatchObject({ code: 'summary_required' });
  });

  it('A9: refuses one that policy denies, and one outside of the step’s tools', async () => {
    expect(errorOf(await under.agent.plan(calling('mail:wipe'), ANA))).toMatchObject({ code: 'tool_denied' });
    const refused = await under.agent.plan(calling('files:write'), { ...ANA, allow: ['files:read', 'mail:*'] });
    expect(errorOf(refused)).toMatchObject({ code: 'tool_denied', hint: 'This step may call: files:read, mail:*.' });
    expect(await under.agent.plan(calling('mail:send'), { ...ANA, allow: ['mail:*'] })).toMatchObject({ kind: 'run' });
  });

  it('K3: answers an unknown id with the nearest ones, within the allow-list alone', async () => {
    expect(errorOf(await under.agent.plan(calling('files:reed'), ANA))).toMatchObject({
      code: 'tool_unknown',
      hint: 'Did you mean files:read, files:write?',
    });
    const narrow = errorOf(await under.agent.plan(calling('mail:sent'), { ...ANA, allow: ['files:read'] }));
    expect(narrow?.hint).not.toContain('mail:send');
    expect(errorOf(await under.agent.plan(calling('nothing'), ANA))?.hint).toContain('files, mail');
  });

  it.each([
    ['no tool id', { name: 'call_tool', input: { params: {} } }, 'needs a `toolId`'],
    ['no input at all', { name: 'call_tool', input: null }, 'needs a `toolId`'],
    ['parameters that are no object', calling('files:read', 7), 'no JSON object'],
    ['parameters that are broken text', calling('files:read', '{"te'), 'no JSON object'],
    ['parameters that the tool does not take', calling('files:read', { text: 1, extra: 2 }), 'Unrecognized key'],
  ])('refuses a call with %s', async (_, call, message) => {
    const planned = await under.agent.plan(call, ANA);
    expect(errorOf(planned)?.code).toBe('tool_failed');
    expect(errorOf(planned)?.message).toContain(message);
    expect(under.made).toEqual([]);
  });

  it('takes parameters as text, and tools by their own names', async () => {
    expect(await under.agent.plan(calling('files:read', '{"text":"a"}'), ANA)).toMatchObject({ params: { text: 'a' } });
    for (const name of ['files:read', 'files__read', 'files_read'])
      expect(await under.agent.plan({ name, input: { text: 'b' } }, ANA)).toMatchObject({
        kind: 'run',
        toolId: 'files:read',
        params: { text: 'b' },
      });
  });

  it('tells a question from a call', async () => {
    expect(await under.agent.plan({ name: 'ask_user', input: { question: 'Which one?' } }, ANA)).toEqual({
      kind: 'question',
      question: 'Which one?',
    });
  });

  it('A11: takes no name from an object’s prototype for a tool or a setting', async () => {
    const planned = await under.agent.plan(calling('constructor'), ANA);
    expect(errorOf(planned)?.code).toBe('tool_unknown');
  });
});

describe('making the call', () => {
  it('hands the tool its key, its owner and its place', async () => {
    const under = new AgentUnderTest([['files:read', 'low', { text: 'found' }]]);
    const request = { toolId: 'files:read', params: { text: 'a' }, summary: null };
    expect(await under.agent.run(request, ANA, aContext())).toEqual({ ok: true, output: { text: 'found' } });
    expect(under.made).toMatchObject([
      { params: { text: 'a' }, call: { idempotencyKey: 'exe_1/ask/call_1', ownerId: 'usr_ana', executionId: 'exe_1', sessionId: 'ses_1' } },
    ]);
  });

  it('A9, A11: runs nothing outside of the allow-list, denied, unknown, or not approved, whatever was planned', async () => {
    const under = new AgentUnderTest([
      ['files:read', 'low'],
      ['mail:send', 'medium'],
      ['mail:wipe', 'high'],
    ]);
    const run = (toolId: string, isApproved = false, allow?: string[]) =>
      under.agent.run({ toolId, params: {}, summary: 'why' }, { ...ANA, allow }, aContext({ isApproved }));
    expect(await run('files:read', true, ['mail:*'])).toMatchObject({ ok: false, error: { code: 'tool_denied' } });
    expect(await run('files:read', true, [])).toMatchObject({ ok: false, error: { code: 'tool_denied' } });
    expect(await run('mail:wipe', true)).toMatchObject({ ok: false, error: { code: 'tool_denied' } });
    expect(await run('mail:none', true)).toMatchObject({ ok: false, error: { code: 'tool_unknown' } });
    expect(await run('mail:send')).toMatchObject({ ok: false, error: { code: 'approval_required' } });
    expect(under.made).toEqual([]);
    expect(await run('mail:send', true)).toEqual({ ok: true, output: 'mail:send ran' });
  });

  const failing = (run: () => Promise<never>) => {
    const source: ToolSource = {
      provider: 'odd',
      known: () => [],
      tools: async () => [aTool('odd:one', { run, limitMs: () => 1 })],
      close: async () => undefined,
    };
    return new AgentUnderTest([], {}, [source]).agent;
  };
  const ODD = { toolId: 'odd:one', params: {}, summary: null };

  it('makes results of a tool’s faults', async () => {
    const fault = new StepFault('http_503', 'it said no', { retryable: true, details: { status: 503 } });
    expect(await failing(() => Promise.reject(fault)).run(ODD, ANA, aContext())).toEqual({
      ok: false,
      error: {
        code: 'http_503',
        message: 'it said no',
        hint: 'It may work later: try once more, or go on without it.',
        details: { status: 503 },
      },
    });
    expect(await failing(() => Promise.reject(new TypeError('x is undefined'))).run(ODD, ANA, aContext())).toMatchObject({
      ok: false,
      error: { code: 'tool_failed', message: 'odd:one failed: x is undefined' },
    });
  });

  it('gives up on a tool that never ends and heeds no signal', async () => {
    const result = await failing(() => new Promise<never>(() => undefined)).run(ODD, ANA, aContext());
    expect(result).toMatchObject({ ok: false, error: { code: 'tool_failed', message: 'odd:one did not end within its 1 ms' } });
  });

  it('throws when it is aborted, and when the database is away', async () => {
    const stop = new AbortController();
    const running = failing(() => new Promise<never>(() => undefined)).run(ODD, ANA, aContext({ signal: stop.signal }));
    stop.abort(new Error('cancelled'));
    await expect(running).rejects.toThrow('cancelled');
    const away = new AppError('unavailable', 'away', { part: 'postgres', retryAfterSeconds: 1 });
    await expect(failing(() => Promise.reject(away)).run(ODD, ANA, aContext())).rejects.toBe(away);
  });
});

describe('list_tools', () => {
  const under = new AgentUnderTest(
    [
      ['files:read', 'low'],
      ['files:write', 'low'],
      ['mail:send', 'medium'],
      ['mail:wipe', 'high'],
    ],
    { own: { 'files:write': 'deny' } },
    [
      {
        provider: 'away',
        known: () => [],
        tools: () => Promise.reject(new StepFault('tool_failed', 'MCP server away cannot be reached', { retryable: true })),
        close: async () => undefined,
      },
    ],
  );
  const list = async (params: object, allow?: string[]) => {
    const planned = await under.agent.plan({ name: 'list_tools', input: params }, { ...ANA, allow });
    if (planned.kind !== 'run') throw new Error(planned.kind);
    const result = await under.agent.run(planned, { ...ANA, allow }, aContext());
    if (!result.ok) throw new Error(result.error.message);
    return result.output as { tools: { id: string; risk: string; parameters?: object }[]; unavailable?: unknown };
  };

  it('gives id, description, risk and parameters of what may be called, and says whose server is away', async () => {
    const { tools, unavailable } = await list({});
    expect(tools.map(({ id }) => id)).toEqual(['files:read', 'mail:send']);
    expect(tools[0]).toEqual({
      id: 'files:read',
      description: 'does files:read',
      risk: 'low',
      parameters: expect.objectContaining({ type: 'object' }),
    });
    expect(unavailable).toEqual([{ provider: 'away', reason: 'MCP server away cannot be reached' }]);
  });

  it('keeps to provider, words and allow-list', async () => {
    expect((await list({ provider: 'mail' })).tools.map(({ id }) => id)).toEqual(['mail:send']);
    expect((await list({ query: 'READ does' })).tools.map(({ id }) => id)).toEqual(['files:read']);
    expect((await list({}, ['mail:send'])).tools.map(({ id }) => id)).toEqual(['mail:send']);
    expect((await list({ provider: 7 })).tools).toHaveLength(2);
  });

  it('leaves parameters out when there are too many tools for one answer', async () => {
    const many = new AgentUnderTest(Array.from({ length: 300 }, (_, n) => [`many:t${n}`, 'low'] as const));
    const result = await many.agent.run({ toolId: 'list_tools', params: {}, summary: null }, ANA, aContext());
    expect(JSON.stringify(result).length).toBeLessThan(32_000);
    expect(result).toMatchObject({ output: { more: 100, note: expect.stringContaining('Parameters') } });
  });
});

describe('what a model is told', () => {
  it('has two doors and a question, in few words', () => {
    expect(modelTools(undefined).map(({ name }) => name)).toEqual(['list_tools', 'call_tool', 'ask_user']);
    expect(JSON.stringify(modelTools(undefined)).length).toBeLessThan(900);
    expect(modelTools(['files:read'])[0]?.description).toContain('files:read');
    expect(modelTools([]).map(({ name }) => name)).toEqual(['ask_user']);
  });

  it('A17: says who denied, or that nobody decided', () => {
    expect(deniedResult('mail:send', 'denied', ['Bo'], 'not today')).toMatchObject({
      ok: false,
      error: { code: 'tool_denied', message: 'Bo denied this call of mail:send: not today' },
    });
    expect(deniedResult('mail:send', 'expired', [], null)).toMatchObject({
      error: { message: 'Nobody approved this call of mail:send in time' },
    });
    expect(outcomeUnknown('shell:bash')).toMatchObject({ ok: false, error: { code: 'outcome_unknown' } });
  });
});
