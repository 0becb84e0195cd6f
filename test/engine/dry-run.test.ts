import { dryRun, type Mocks } from '../../src/engine/index.js';
import { planOf, START_MS } from './support/driver.js';
import { gate, loop, parallel, set, tool, tries, wait } from './support/steps.js';

const dry = (steps: readonly unknown[], mocks: Mocks = {}, more = {}) =>
  dryRun({ plan: planOf({ steps, ...more }), variables: {}, mocks, startMs: START_MS });

describe('a dry run', () => {
  it('takes mocked outputs and errors, visit by visit', () => {
    const body = tries('y', [tool('t', { i: '{{item}}' })], { catch: [{ codes: ['http_503'], steps: [set('h', { fallback: true })] }] });
    const run = dry([loop('l', [1, 2, 3], [body])], { t: [{ output: 'a' }, { error: { code: 'http_503' } }, { output: 'c' }] });
    expect(run).toMatchObject({ status: 'completed', output: { l: { results: ['a', { fallback: true }, 'c'] } } });
    expect(run.steps.find(({ stepId, iterationPath }) => stepId === 't' && iterationPath === 'l:i1/y:try')).toMatchObject({
      status: 'failed',
      input: { tool: 'http:request', arguments: { i: 2 } },
      error: { code: 'http_503', stepId: 't' },
    });
  });

  it('gives null with a warning for what is not mocked, and approves', () => {
    const event = { type: 'wait_for_event', id: 'e', event: 'paid', match: 'event.payload.id == 1' };
    const run = dry([
      tool('t'),
      { type: 'bash', id: 'b', command: 'ls' },
      { type: 'agent_prompt', id: 'a', prompt: 'x' },
      { type: 'notify', id: 'n', target: 'chat', content: 'x' },
      event,
      { type: 'subworkflow', id: 's', workflow: 'w' },
      gate('g'),
    ]);
    expect(run.status).toBe('completed');
    expect(run.output).toEqual({
      g: { decision: 'approved', decidedBy: ['dry-run'], decidedAt: new Date(START_MS).toISOString(), reason: null, answer: null },
    });
    expect(run.steps.filter(({ warnings }) => warnings.some(({ code }) => code === 'unmocked')).map(({ stepId }) => stepId)).toEqual([
      't',
      'b',
      'a',
      'n',
      'e',
      's',
    ]);
  });

  it('L37 jumps over waits, deadlines and retries', () => {
    const run = dry(
      [wait('w', { duration: '30d' }), tool('t', {}, { retry: { maxAttempts: 2, initialInterval: '1h', on: ['*'] } })],
      { t: [{ error: { code: 'x' } }, { output: 1 }] },
      { constraints: { maxDuration: '31d' } },
    );
    expect(run.status).toBe('completed');
    expect(run.events.at(-1)).toMatchObject({
      kind: 'execution.completed',
      at: new Date(START_MS + 30 * 86_400_000 + 3_600_000).toISOString(),
    });
  });

  it('shows a denial, an expiry, an event that never comes, a child that fails', () => {
    expect(dry([gate('g')], { g: { output: { decision: 'denied', reason: 'no' } } })).toMatchObject({ status: 'cancelled' });
    expect(dry([gate('g')], { g: { error: { code: 'approval_expired' } } }).error?.code).toBe('approval_expired');
    expect(
      dry([{ type: 'wait_for_event', id: 'e', event: 'x', timeout: '1h' }], { e: { error: { code: 'event_timeout' } } }).error?.code,
    ).toBe('event_timeout');
    expect(dry([{ type: 'subworkflow', id: 's', workflow: 'w' }], { s: { error: { code: 'http_500' } } }).error).toMatchObject({
      code: 'subworkflow_failed',
      details: { error: { code: 'http_500' } },
    });
  });

  it('tells a timeline without gaps, from start to end', () => {
    const { events } = dry([parallel('p', { a: set('x', { v: 1 }), b: tool('t') })], { t: { output: 2 } });
    expect(events.map(({ seq }) => seq)).toEqual(events.map((_event, index) => index + 1));
    expect(events.map(({ kind, stepId }) => `${kind} ${stepId ?? ''}`.trim())).toEqual([
      'execution.started',
      'step.started p',
      'step.started x',
      'step.completed x',
      'step.started t',
      'step.completed t',
      'step.completed p',
      'execution.completed',
    ]);
  });

  it('evaluates what a host may not, secrets by name only', () => {
    const run = dry([set('m', { ok: '{{matches("abc", "b+")}}' }), tool('t', { headers: { key: '{{secrets.KEY}}' } })]);
    expect(run.output).toMatchObject({ m: { ok: true } });
    expect(run.steps.find(({ stepId }) => stepId === 't')?.input).toMatchObject({ arguments: { headers: { key: 'secrets.KEY' } } });
  });

  it('ends at a bound of its own', () => {
    const run = dry(
      [{ type: 'loop', id: 'l', while: 'true', maxIterations: 1_000_000, steps: [set('s', { n: 1 })] }],
      {},
      { constraints: { maxSteps: 1_000_000 } },
    );
    expect(run.error?.code).toBe('max_steps_exceeded');
  });
});
