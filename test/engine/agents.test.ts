import { Driver, planOf, START_MS, type Options } from './support/driver.js';
import type { AgentScript, ModelCall, ModelSays } from './support/agent-world.js';
import { loop, parallel, set, tries } from './support/steps.js';

type Fields = { readonly [field: string]: unknown };
const agent = (id: string, fields: Fields = {}) => ({ type: 'agent_prompt', id, prompt: 'hi', ...fields });

/** Runs the steps with models that say this, one after the other; the last one stays. */
function run(
  steps: readonly object[],
  says: readonly ModelSays[] | ((call: ModelCall) => ModelSays),
  more: Partial<AgentScript> & { readonly definition?: Fields; readonly options?: Options } = {},
) {
  const { definition = {}, options = {}, ...script } = more;
  let nth = 0;
  const say = typeof says === 'function' ? says : () => says[Math.min(nth++, says.length - 1)] ?? {};
  return new Driver(planOf({ ...definition, steps }), { roundTrip: true, ...options, agent: { says: say, ...script } });
}

const asked = (driver: Driver) => driver.agents.modelCalls;
const entries = (driver: Driver, stepId: string, path = '') =>
  asked(driver).find((call) => call.stepId === stepId && call.iterationPath === path)?.entries;
const data = (driver: Driver, kind: string) => driver.events.filter((event) => event.kind === kind).map((event) => event.data);

describe('agent loop', () => {
  it('publishes the reply, and goes on with turns while the model calls tools', () => {
    const driver = run(
      [agent('a'), set('s', { x: '{{ outputs.a }}' })],
      [{ calls: ['t1', 'shell2'] }, { calls: ['t3'] }, { text: 'done' }],
    ).run();
    expect(driver.outcome).toMatchObject({ status: 'completed', output: { v: { a: 'done', s: { x: 'done' } } } });
    expect(driver.agents.toolCalls).toEqual([
      { callId: 't1', queue: 'core', approvalId: null },
      { callId: 'shell2', queue: 'shell', approvalId: null },
      { callId: 't3', queue: 'core', approvalId: null },
    ]);
    expect(asked(driver).map(({ turn, call }) => [turn, call])).toEqual([
      [1, 1],
      [2, 2],
      [3, 3],
    ]);
    expect(driver.agents.mostTools).toBe(2);
    expect(driver.agents.closings).toEqual([]);
    expect(driver.row('a')).toMatchObject({ status: 'completed' });
  });

  it('has at most eight calls of a turn in flight, and takes the next turn when the last has ended', () => {
    const calls = Array.from({ length: 20 }, (_, n) => `t${n}`);
    const driver = run([agent('a')], [{ calls }, { text: 'done' }], { tool: (id) => ({ afterMs: 100 - Number(id.slice(1)) }) }).run();
    expect(driver.outcome?.status).toBe('completed');
    expect(driver.agents.mostTools).toBe(8);
    expect(driver.agents.toolCalls).toHaveLength(20);
  });

  it('A1: repairs twice in the same turn, telling what did not fit', () => {
    const driver = run(
      [agent('a', { outputSchema: { n: { type: 'number' } } })],
      [{ misfit: 'prose' }, { misfit: 'no n' }, { text: { n: 1 } }],
    ).run();
    expect(driver.output).toEqual({ a: { n: 1 } });
    expect(asked(driver).map(({ turn, misfits }) => [turn, misfits.length])).toEqual([
      [1, 0],
      [1, 1],
      [1, 2],
    ]);
  });

  it('A2: a third reply that does not fit fails the step', () => {
    const driver = run([agent('a', { outputSchema: { n: { type: 'number' } } })], [{ misfit: 'prose' }]).run();
    expect(driver.outcome).toMatchObject({ status: 'failed', error: { code: 'agent_prompt_structured_output_invalid', stepId: 'a' } });
    expect(asked(driver)).toHaveLength(3);
  });

  it.each([
    [
      'fails over to the next model',
      [{ fault: { code: 'agent_prompt_model_error', failover: true } }, { text: 'ok' }],
      ['m1', 'm2'],
      'completed',
    ],
    ['stops at another fault', [{ fault: { code: 'agent_prompt_model_error' } }], ['m1'], 'failed'],
    [
      'A5: ends with the fault of the last model',
      [{ fault: { code: 'agent_prompt_empty_response', failover: true } }],
      ['m1', 'm2', 'm3'],
      'failed',
    ],
  ] as [string, ModelSays[], string[], string][])('A4: %s', (_name, says, models, status) => {
    const driver = run([agent('a')], says, { models: ['m1', 'm2', 'm3'] }).run();
    expect(driver.outcome?.status).toBe(status);
    expect(asked(driver).map(({ model }) => model)).toEqual(models);
    expect(data(driver, 'agent.failover')).toHaveLength(models.length - 1);
    if (status === 'failed') expect(driver.agents.closings).toEqual([{ step: 'a#1', status: 'error' }]);
  });

  it('stays with the model that it failed over to', () => {
    const driver = run([agent('a')], [{ fault: { code: 'x', failover: true } }, { calls: ['t'] }, { text: 'ok' }], {
      models: ['m1', 'm2'],
    }).run();
    expect(asked(driver).map(({ model }) => model)).toEqual(['m1', 'm2', 'm2']);
  });

  it('a step that is tried again waits as long as the provider wishes', () => {
    const fault = { code: 'agent_prompt_model_error', retryable: true, retryAfterMs: 7_000 };
    const driver = run([agent('a', { retry: { maxAttempts: 2, initialInterval: 10 } })], [{ fault }, { text: 'ok' }]).run();
    expect(driver.outcome?.status).toBe('completed');
    expect(asked(driver)[1]?.at).toBe(7_000);
  });

  it('agent_prompt_max_turns: the calls of the last turn are not made', () => {
    const driver = run([agent('a', { maxTurns: 2 })], [{ calls: ['t1'] }, { calls: ['t2'] }]).run();
    expect(driver.outcome).toMatchObject({ status: 'failed', error: { code: 'agent_prompt_max_turns', details: { maxTurns: 2 } } });
    expect(driver.agents.toolCalls.map(({ callId }) => callId)).toEqual(['t1']);
    expect(driver.agents.closings).toEqual([{ step: 'a#1', status: 'error' }]);
  });

  describe('A6: time', () => {
    it('covers the whole step: failed-over calls and attempts together', () => {
      const says = [{ fault: { code: 'x', failover: true }, afterMs: 600 }, { never: true as const }];
      const driver = run([agent('a', { await_timeout_ms: 1_000, retry: { maxAttempts: 3, initialInterval: 10, on: ['*'] } })], says, {
        models: ['m1', 'm2'],
      }).run();
      expect(driver.outcome).toMatchObject({ status: 'failed', error: { code: 'agent_prompt_timeout', stepId: 'a' } });
      expect(driver.nowMs - START_MS).toBeLessThan(1_200);
      expect(driver.agents.closings.at(-1)).toEqual({ step: 'a#1', status: 'error' });
      expect(driver.row('a')?.status).toBe('failed');
    });

    it('can be caught like any failure of a step', () => {
      const driver = run(
        [
          tries('t', [agent('a', { await_timeout_ms: 1_000 })], {
            catch: [{ codes: ['agent_prompt_timeout'], steps: [set('c', { x: 1 })] }],
          }),
        ],
        [{ never: true }],
      ).run();
      expect(driver.outcome?.status).toBe('completed');
    });

    it('A17: waiting for a person does not count; what is left counts on', () => {
      const driver = run([agent('a', { await_timeout_ms: 1_000 })], [{ calls: ['held1'], afterMs: 400 }, { never: true }]);
      driver.runUntil(3_600_000);
      expect(driver.state.status).toBe('waiting_approval');
      driver.decide(0, 'a', 'approved').runUntil(3_600_500);
      expect(driver.agents.toolCalls).toMatchObject([{ callId: 'held1', approvalId: 'apr_a#1:held1' }]);
      expect(driver.outcome).toBeUndefined();
      driver.run();
      expect(driver.outcome?.error?.code).toBe('agent_prompt_timeout');
      expect(driver.nowMs - START_MS - 3_600_000).toBe(600);
    });
  });

  it('A17: the clock stands from the order of the gate on: nobody may be there to hear that it is open', () => {
    const driver = run([agent('a', { await_timeout_ms: 1_000 })], [{ calls: ['held1'], afterMs: 400 }, { text: 'ok' }]);
    const isOrdered = () => driver.commands.some((command) => command.kind === 'activity' && command.name === 'open_call_gate');
    while (!isOrdered()) driver.step();
    expect(driver.gates.size).toBe(1);
    expect(Object.values(driver.state.timers).map(({ purpose }) => purpose)).not.toContain('timeout');
  });

  describe('A9: held calls', () => {
    it('go on as the gate says; the other calls of the turn do not wait', () => {
      const driver = run([agent('a')], [{ calls: ['t1', 'held1', 'refused1'] }, { text: 'ok' }]);
      driver.decide(5_000, 'a', 'denied').run();
      expect(driver.outcome?.status).toBe('completed');
      expect(driver.agents.toolCalls).toEqual([
        { callId: 't1', queue: 'core', approvalId: null },
        { callId: 'held1', queue: 'core', approvalId: 'apr_a#1:held1' },
      ]);
    });

    it('expire after 24 hours, and the loop goes on', () => {
      const driver = run([agent('a')], [{ calls: ['held1'] }, { text: 'ok' }]).run();
      expect(driver.outcome?.status).toBe('completed');
      expect(driver.nowMs - START_MS).toBe(24 * 3_600_000);
      expect([...driver.gates.values()].map(({ status }) => status)).toEqual(['expired']);
      expect(driver.agents.toolCalls).toMatchObject([{ approvalId: 'apr_a#1:held1' }]);
    });

    it('are closed when another call of the turn is lost, and the step fails', () => {
      const driver = run([agent('a')], [{ calls: ['held1', 't1', 't2'] }], {
        tool: (id) => (id === 't1' ? { lost: true } : { never: true }),
      }).run(200);
      expect(driver.outcome?.error?.code).toBe('outcome_unknown');
      expect([...driver.gates.values()].map(({ status }) => status)).toEqual(['cancelled']);
      expect(driver.agents.closings).toEqual([{ step: 'a#1', status: 'error' }]);
    });

    it('are closed by a cancel', () => {
      const driver = run([agent('a')], [{ calls: ['held1', 't1'] }], { tool: () => ({ never: true }) })
        .cancel(1_000)
        .run();
      expect(driver.outcome?.status).toBe('cancelled');
      expect([...driver.gates.values()].map(({ status }) => status)).toEqual(['cancelled']);
      expect(driver.agents.closings).toEqual([{ step: 'a#1', status: 'canceled' }]);
    });
  });

  describe('budgets', () => {
    const tokens = { input: 150, output: 50 };
    const RETRY = { maxAttempts: 2, initialInterval: 30, on: ['*'] };
    it("A8: the call that would pass the run's is not made, and nothing in the run sees it", () => {
      const body = loop('l', 'range(20)', [agent('a', { onError: 'continue', thread: '@new' })], { onItemError: 'continue' });
      const driver = run([tries('t', [body], { catch: [{ codes: ['*'], steps: [set('c', { x: 1 })] }] })], [{ text: 'ok', tokens }], {
        definition: { constraints: { maxTokens: 1_000 } },
        characters: 300,
      }).run();
      expect(driver.outcome).toMatchObject({
        status: 'failed',
        error: { code: 'budget_exceeded', stepId: 'a', details: { maxTokens: 1_000, usedTokens: 1_000 } },
      });
      expect(asked(driver)).toHaveLength(5);
      // 100 tokens are reckoned for the request: what is left behind it is the most that the reply may be.
      expect(asked(driver).map(({ maxTokens }) => maxTokens)).toEqual([900, 700, 500, 300, 100]);
      expect(driver.row('c')).toBeUndefined();
    });

    it("a step's own counts over its turns and attempts", () => {
      const driver = run(
        [agent('a', { maxTokens: 500, retry: { maxAttempts: 5, initialInterval: 1, on: ['*'] } })],
        [{ fault: { code: 'x' }, tokens }],
        { characters: 300 },
      ).run();
      expect(driver.outcome?.error).toMatchObject({ code: 'budget_exceeded', details: { maxTokens: 500, usedTokens: 400 } });
      expect(asked(driver)).toHaveLength(2);
    });

    it('A15: reservations add up over branches; who finds too little left waits for those of others', () => {
      const branches = Array.from({ length: 10 }, (_, n) => agent(`a${n}`, { thread: '@new' }));
      let open = 0;
      let most = 0;
      const driver = new Driver(planOf({ constraints: { maxTokens: 1_000 }, steps: [{ type: 'parallel', id: 'p', steps: branches }] }), {
        agent: {
          characters: 300,
          says: ({ maxTokens }) => {
            open += 100 + maxTokens;
            most = Math.max(most, open);
            return { text: 'ok', tokens, afterMs: 100 };
          },
        },
      });
      driver.run();
      expect(most).toBeGreaterThan(0);
      expect(driver.outcome?.error?.code).toBe('budget_exceeded');
      expect(asked(driver).map(({ maxTokens, at }) => [maxTokens, at])).toEqual([
        [900, 0],
        [700, 100],
        [500, 200],
        [300, 300],
        [100, 400],
      ]);
      expect(driver.state.tokens).toEqual({ used: 1_000, reserved: 0 });
    });

    it('tokens that come free while a retry is delayed do not end the delay, nor the run', () => {
      const branches = ['slow', 'poor'].map((id) => agent(id, { thread: '@new', await_timeout_ms: 1_000, retry: RETRY }));
      const driver = new Driver(planOf({ constraints: { maxTokens: 1_000 }, steps: [{ type: 'parallel', id: 'p', steps: branches }] }), {
        agent: {
          characters: 300,
          // The first call has reserved all that there is, and stops only when it is told to.
          says: ({ stepId, attempt }) => (stepId === 'slow' && attempt === 1 ? { never: true, tokens } : { text: 'ok', tokens }),
        },
      });
      driver.run();
      expect(driver.outcome).toMatchObject({ status: 'failed', error: { code: 'agent_prompt_timeout' } });
      expect(driver.kinds('poor')).toEqual(['step.started', 'step.failed', 'step.retrying', 'step.started', 'step.failed']);
    });

    it('a clean-up is not stopped by it twice', () => {
      const driver = run(
        [
          tries('t', [agent('a', { thread: '@new' })], {
            finally: [agent('f', { thread: '@new', onError: 'continue' }), set('s', { x: 1 })],
          }),
        ],
        [{ text: 'ok' }],
        {
          definition: { constraints: { maxTokens: 50 } },
          characters: 300,
        },
      ).run();
      expect(driver.outcome).toMatchObject({ status: 'failed', error: { code: 'budget_exceeded', stepId: 'a' } });
      expect(driver.row('s', 't:finally')?.status).toBe('completed');
    });
  });

  describe('threads', () => {
    it('A7: the default one is shared, @new is not, a name is reused and may be computed', () => {
      const steps = [
        agent('a'),
        agent('b'),
        agent('c', { thread: '@new' }),
        agent('d', { thread: 'x' }),
        agent('e', { thread: '{{ variables.name }}' }),
      ];
      const driver = run(steps, [{ text: 'ok' }], {
        options: { variables: { name: 'x' } },
        definition: { variables: { name: { type: 'string' } } },
      }).run();
      expect(['a', 'b', 'c', 'd', 'e'].map((id) => entries(driver, id))).toEqual([[], ['a#1'], [], [], ['d#1']]);
    });

    it('A16: branches fork it, and merge in branch order for any timing', () => {
      const play = (slow: string) => {
        const driver = run(
          [agent('first'), parallel('p', { a: [agent('a1'), agent('a2')], b: [agent('b1')] }), agent('last')],
          ({ stepId }) => ({ text: 'ok', afterMs: stepId === slow ? 500 : 1 }),
        ).run();
        return ['a1', 'a2', 'b1'].map((id, index) => entries(driver, id, `p:b${index < 2 ? 0 : 1}`)).concat([entries(driver, 'last')]);
      };
      const expected = [['first#1'], ['first#1', 'p:b0/a1#1'], ['first#1'], ['first#1', 'p:b0/a1#1', 'p:b0/a2#1', 'p:b1/b1#1']];
      expect(play('a1')).toEqual(expected);
      expect(play('b1')).toEqual(expected);
    });

    it('A16: concurrent passes fork it, and merge in index order; sequential ones go on with it', () => {
      const body = [agent('a')];
      const play = (concurrency: number) =>
        run([loop('l', 'range(3)', body, { concurrency }), agent('last')], ({ iterationPath }) => ({
          text: 'ok',
          afterMs: iterationPath === 'l:i0' ? 900 : 10,
        })).run();
      const concurrent = play(3);
      expect(entries(concurrent, 'a', 'l:i2')).toEqual([]);
      expect(entries(concurrent, 'last')).toEqual(['l:i0/a#1', 'l:i1/a#1', 'l:i2/a#1']);
      const sequential = play(1);
      expect(entries(sequential, 'a', 'l:i2')).toEqual(['l:i0/a#1', 'l:i1/a#1']);
      expect(entries(sequential, 'last')).toEqual(['l:i0/a#1', 'l:i1/a#1', 'l:i2/a#1']);
    });

    it('failed steps, branches and passes leave nothing behind; of attempts the last counts', () => {
      const says = ({ stepId, attempt }: ModelCall): ModelSays =>
        stepId === 'bad' || (stepId === 'again' && attempt === 1) ? { fault: { code: 'x' } } : { text: 'ok' };
      const driver = run(
        [
          agent('bad', { onError: 'continue' }),
          parallel('p', { a: [agent('lost'), agent('bad')], b: [agent('kept')] }, { onBranchError: 'continue' }),
          agent('again', { retry: { maxAttempts: 2, initialInterval: 1, on: ['*'] } }),
          agent('last'),
        ].map((step, index) => (index === 1 ? (JSON.parse(JSON.stringify(step).replace('"id":"bad"', '"id":"bad2"')) as object) : step)),
        (call) => (call.stepId === 'bad2' ? { fault: { code: 'x' } } : says(call)),
      ).run();
      expect(driver.outcome?.status).toBe('completed');
      expect(entries(driver, 'last')).toEqual(['p:b1/kept#1', 'again#2']);
    });
  });

  describe('A12: ends from outside', () => {
    it('a cancel stops the model call, closes the turn and keeps what it has cost', () => {
      const driver = run([agent('a')], [{ never: true, tokens: { input: 40, output: 2 } }])
        .cancel(1_000)
        .run();
      expect(driver.outcome?.status).toBe('cancelled');
      expect(driver.agents.closings).toEqual([{ step: 'a#1', status: 'canceled' }]);
      const cancelled = driver.events.find(({ kind }) => kind === 'step.cancelled');
      expect(cancelled?.record).toMatchObject({ usage: { inputTokens: 40, outputTokens: 2, estimated: true }, turnIds: ['trn_a#1.1'] });
    });

    it('a reply that came before the cancel stands', () => {
      const driver = run([agent('a'), set('s', { x: 1 })], [{ text: 'ok', afterMs: 1_000 }]).later(1_000, { kind: 'pause', by: 'ana' });
      driver.later(1_000, { kind: 'cancel', reason: null, by: 'ana' }).run();
      expect(driver.outcome?.status).toBe('cancelled');
      expect(driver.row('a')?.status).toBe('completed');
    });

    it('a loser of `any` is taken down alone', () => {
      const driver = run([parallel('p', { a: [agent('a')], b: [agent('b')] }, { wait: 'any' })], ({ stepId }) =>
        stepId === 'a' ? { text: 'ok', afterMs: 5 } : { never: true },
      ).run();
      expect(driver.outcome?.status).toBe('completed');
      expect(driver.row('b', 'p:b1')?.status).toBe('cancelled');
      expect(driver.agents.closings).toEqual([{ step: 'p:b1/b#1', status: 'canceled' }]);
    });
  });

  it('a pause lets the turn end and starts nothing; its calls are made at resume', () => {
    const driver = run([agent('a')], [{ calls: ['t1'], afterMs: 100 }, { text: 'ok' }]).later(50, { kind: 'pause', by: 'ana' });
    driver.runUntil(10_000);
    expect(driver.agents.toolCalls).toEqual([]);
    expect(driver.state.status).toBe('paused');
    driver.later(10_000, { kind: 'resume', by: 'ana' }).run();
    expect(driver.outcome?.status).toBe('completed');
    expect(driver.agents.toolCalls).toHaveLength(1);
  });

  it('an activity without an answer fails the step and closes its turn', () => {
    const driver = run([agent('a')], [{ lost: true }]).run();
    expect(driver.outcome?.error?.code).toBe('outcome_unknown');
    expect(driver.agents.closings).toEqual([{ step: 'a#1', status: 'error' }]);
  });

  it('version 1 goes on as it began: the whole step as one activity', () => {
    const driver = new Driver(planOf({ steps: [agent('a')] }), { script: { a: { output: 'hello' } } });
    driver.state = { ...driver.state, engineVersion: 1 };
    driver.run();
    expect(driver.output).toEqual({ a: 'hello' });
    expect(driver.commands.filter(({ kind }) => kind === 'activity')).toMatchObject([
      { name: 'agent_prompt_v1', id: 'a#1:turn1', turn: 1 },
    ]);
  });
});
