import type { ActivityCommand, ActivityResult } from '../../src/engine/types.js';
import { Driver, planOf, START_MS } from './support/driver.js';
import { set, tool, tries } from './support/steps.js';

const started = (steps: readonly unknown[], options = {}) => new Driver(planOf({ steps }), { roundTrip: true, ...options });
const ordered = (run: Driver, name: string) =>
  run.commands.filter((command): command is ActivityCommand => command.kind === 'activity' && command.name === name);

describe('an activity call', () => {
  it('is named by its step instance, and is told only what its step names', () => {
    const body = { type: 'loop', id: 'l', over: ['a'], steps: [tool('t', { x: '{{item}}', y: '{{outputs.s.v}}' })] };
    const run = started([set('s', { v: 1, unread: 'big' }), body]).run();
    expect(ordered(run, 'tool')[0]).toMatchObject({
      id: 'l:i0/t#1',
      instance: { stepId: 't', iterationPath: 'l:i0', attempt: 1 },
      stepType: 'tool',
      nowMs: START_MS,
      timeoutMs: null,
      scope: { variables: { item: { v: 'a' } }, outputs: { s: { v: { v: 1, unread: 'big' } } } },
    });
  });

  it('of a tool that works in the workspace goes where the workspace is, and no other does', () => {
    const of = (id: string, toolId: string) => ({ ...(tool(id) as object), tool: toolId });
    const run = started([of('a', 'files:read'), of('b', 'shell:bash'), of('c', 'http:request'), of('d', 'shellfish:cook')]).run();
    expect(ordered(run, 'tool').map((command) => ('queue' in command ? command.queue : undefined))).toEqual([
      'shell',
      'shell',
      undefined,
      undefined,
    ]);
  });

  it('that gave no answer is fenced off, and ends as its row then says', () => {
    const run = started([tool('t')], { script: { t: { lost: true } } }).run();
    expect(ordered(run, 'recover')).toMatchObject([
      { id: 't#1:recover', settle: { ended: 'failed', error: { code: 'outcome_unknown', retryable: false } } },
    ]);
    expect(run.outcome?.error).toMatchObject({ code: 'outcome_unknown', stepId: 't', iterationPath: '', attempt: 1 });
    expect(run.kinds('t')).toEqual(['step.started', 'step.failed']);
  });

  it('that found no worker in time has timed out', () => {
    const run = started([tool('t', {}, { timeout: '1s' })], { script: { t: { never: true } } }).runUntil(1);
    run.feed({ kind: 'answered', id: 't#1', at: START_MS + 6_000, result: { of: 'lost', timedOut: true } });
    expect(ordered(run, 'recover')).toMatchObject([{ settle: { ended: 'failed', error: { code: 'step_timeout', retryable: true } } }]);
    expect(run.run().outcome?.error?.code).toBe('step_timeout');
  });

  it('that is lost while its step is aborted settles as cancelled', () => {
    const run = started([tool('t')], { script: { t: { lost: true, afterMs: 50 } } })
      .cancel(10)
      .run();
    expect(ordered(run, 'recover')).toMatchObject([{ settle: { ended: 'cancelled' } }]);
    expect(run.row('t')?.status).toBe('cancelled');
    expect(run.outcome?.status).toBe('cancelled');
  });

  it('that someone cancelled from outside fails its step', () => {
    const run = started([tries('y', [tool('t')], { catch: [{ codes: ['internal_error'], steps: [set('h', { ok: true })] }] })], {
      script: { t: { never: true } },
    }).runUntil(1);
    run.feed({ kind: 'answered', id: 'y:try/t#1', at: START_MS + 2, result: { of: 'step', answer: { ended: 'cancelled', at: START_MS } } });
    expect(run.run().output).toMatchObject({ h: { ok: true } });
  });

  it('takes its first answer only', () => {
    const run = started([tool('t'), tool('u')], { script: { u: { never: true } } }).runUntil(1);
    const again: ActivityResult = { of: 'step', answer: { ended: 'failed', at: 0, error: { code: 'x', message: 'x', retryable: false } } };
    for (const id of ['t#1', 'nobody', '__proto__', 'toString']) run.feed({ kind: 'answered', id, at: START_MS + 2, result: again });
    expect(run.outcome).toBeUndefined();
    expect(run.row('t')?.status).toBe('completed');
  });

  it('time never goes back', () => {
    const run = started([tool('t'), set('s', { at: '{{now()}}' })], { script: { t: { never: true } } }).runUntil(1);
    run.feed({
      kind: 'answered',
      id: 't#1',
      at: START_MS - 5_000,
      result: { of: 'step', answer: { ended: 'completed', at: 0, output: { v: 1 } } },
    });
    expect(run.output).toMatchObject({ s: { at: new Date(START_MS).toISOString() } });
  });
});
