import type { GateStatus } from '../../src/engine/types.js';
import { Driver, planOf, START_MS } from './support/driver.js';
import { gate, loop, parallel, set, tool, tries, wait } from './support/steps.js';

const started = (steps: readonly unknown[], options = {}) => new Driver(planOf({ steps }), { roundTrip: true, ...options });

describe('approval', () => {
  it('H1 publishes who decided; what came before is not called again', () => {
    const run = started([tool('t'), gate('g'), tool('after')])
      .decide(100, 'g', 'approved', { reason: 'fine' })
      .run();
    expect(run.output).toEqual({
      g: { decision: 'approved', decidedBy: ['ana'], decidedAt: new Date(START_MS + 100).toISOString(), reason: 'fine', answer: null },
    });
    expect(run.calls.map(({ stepId }) => stepId)).toEqual(['t', 'after']);
  });

  it('H7 a denial cancels the run by itself', () => {
    const run = started([
      tries('y', [gate('g')], { catch: [{ codes: ['*'], steps: [tool('h')] }], finally: [tool('clean')] }),
      tool('after'),
    ])
      .decide(5, 'g', 'denied')
      .run();
    expect(run.outcome).toMatchObject({ status: 'cancelled', reason: 'approval_denied', requested: false });
    expect(run.row('g', 'y:try')).toMatchObject({ status: 'failed', error: { code: 'approval_denied' } });
    expect(run.calls.map(({ stepId }) => stepId)).toEqual(['clean']);
  });

  it('H7 a denial with onDeny fail can be caught', () => {
    const body = tries('y', [gate('g', { onDeny: 'fail' })], {
      catch: [{ codes: ['approval_denied'], as: 'e', steps: [set('h', { by: '{{e.details.decidedBy}}' })] }],
    });
    expect(started([body]).decide(5, 'g', 'denied').run().output).toMatchObject({ h: { by: ['ana'] } });
  });

  it('H7 goes on with onDeny continue', () => {
    expect(
      started([gate('g', { onDeny: 'continue' })])
        .decide(5, 'g', 'denied')
        .run().output,
    ).toMatchObject({ g: { decision: 'denied', decidedBy: ['ana'] } });
  });

  it('H8 fails at the deadline', () => {
    const run = started([gate('g', { timeout: '2s' })]).run();
    expect(run.outcome?.error).toMatchObject({ code: 'approval_expired', stepId: 'g' });
    expect([...run.gates.values()].map(({ status }) => status)).toEqual(['expired']);
    expect(run.nowMs).toBe(START_MS + 2_000);
  });

  it('H8 with onTimeout deny does what a denial does, decided by nobody; the row stays expired', () => {
    const run = started([gate('g', { timeout: '2s', onTimeout: 'deny', onDeny: 'continue' })]).run();
    expect(run.output).toMatchObject({ g: { decision: 'denied', decidedBy: [] } });
    expect([...run.gates.values()].map(({ status }) => status)).toEqual(['expired']);
  });

  it('H9 a click that won the row beats the timer that fires after it', () => {
    const run = started([gate('g', { timeout: '2s' })]).runUntil(1_999);
    const [open] = [...run.gates.values()];
    if (open === undefined) throw new Error('no gate');
    run.gates.set(open.approvalId, { ...open, status: 'approved', decidedBy: ['bo'], decidedAt: 'x' });
    expect(run.run().output).toMatchObject({ g: { decision: 'approved', decidedBy: ['bo'] } });
  });

  it('H9 the same outcome when the signal comes while the expiry is in flight', () => {
    const run = started([gate('g', { timeout: '2s' }), tool('after')]).runUntil(1_999);
    const [open] = [...run.gates.values()];
    if (open === undefined) throw new Error('no gate');
    const settled = { ...open, status: 'approved' as const, decidedBy: ['bo'], decidedAt: 'x' };
    run.gates.set(open.approvalId, settled);
    run.step();
    run.feed({ kind: 'gate', gate: settled, at: START_MS + 2_000 });
    run.run();
    expect(run.outcome?.status).toBe('completed');
    expect(run.callsOf('after')).toHaveLength(1);
  });

  it('H10 two gates are decided in any order', () => {
    const run = started([parallel('p', { a: gate('g1'), b: [gate('g2'), tool('t')] })])
      .decide(5, 'g2', 'approved')
      .runUntil(6);
    expect(run.callsOf('t')).toHaveLength(1);
    expect(run.decide(10, 'g1', 'approved').run().outcome?.status).toBe('completed');
  });

  it.each<GateStatus>(['approved', 'denied'])('H3 a decision for a gate that is not open, or twice (%s), changes nothing', (status) => {
    const run = started([gate('g'), wait('w', { duration: '1s' })])
      .decide(5, 'g', 'approved')
      .runUntil(10);
    const before = JSON.stringify({ ...run.state, counter: 0, nowMs: 0 });
    for (const approvalId of ['apr_unknown', 'apr_/g#1', '__proto__', 'constructor']) {
      run.feed({
        kind: 'gate',
        at: START_MS + 20,
        gate: { approvalId, status, decidedBy: [], decidedAt: null, reason: null, answer: { v: null } },
      });
    }
    expect(JSON.stringify({ ...run.state, counter: 0, nowMs: 0 })).toBe(before);
  });

  it('H11 a cancel closes open gates', () => {
    const run = started([parallel('p', { a: gate('g1'), b: gate('g2') })])
      .cancel(10)
      .run();
    expect([...run.gates.values()].map(({ status }) => status)).toEqual(['cancelled', 'cancelled']);
    expect(run.outcome?.status).toBe('cancelled');
    expect(run.rowsOf('g1')[0]?.status).toBe('cancelled');
  });

  it('a gate that was approved as its step was aborted stays approved', () => {
    const run = started([parallel('p', { a: gate('g'), b: wait('w', { duration: '1s' }) }, { wait: 'any' })]).runUntil(999);
    const [open] = [...run.gates.values()];
    if (open === undefined) throw new Error('no gate');
    run.gates.set(open.approvalId, { ...open, status: 'approved', decidedBy: ['bo'], decidedAt: 'x' });
    run.run();
    expect(run.row('g', 'p:b0')?.status).toBe('completed');
    expect(run.output).toEqual({ w: { until: expect.any(String) }, p: { branches: { a: 'cancelled', b: 'completed' } } });
  });

  it('does not open in a clean-up, which goes on behind it', () => {
    const run = started([tries('y', [tool('slow')], { finally: [gate('g'), tool('clean')] })], { script: { slow: { never: true } } })
      .cancel(10)
      .run();
    expect(run.gates.size).toBe(0);
    expect(run.row('g', 'y:finally')?.status).toBe('cancelled');
    expect(run.callsOf('clean')).toHaveLength(1);
  });

  it('a row that a cancel has closed waits for the cancel', () => {
    const run = started([gate('g'), tool('after')])
      .decide(5, 'g', 'cancelled')
      .runUntil(20);
    expect(run.outcome).toBeUndefined();
    expect(run.cancel(30).run().outcome?.status).toBe('cancelled');
    expect(run.row('g')?.status).toBe('cancelled');
  });

  it('opens a gate of its own in each pass and attempt', () => {
    const run = started([loop('l', [1, 2], [gate('g', { onDeny: 'fail', retry: { maxAttempts: 2, initialInterval: 1, on: ['*'] } })])]);
    run.decide(1, 'g', 'denied').decide(5, 'g', 'approved').decide(9, 'g', 'approved').run();
    expect([...run.gates.keys()]).toEqual(['apr_l:i0/g#1', 'apr_l:i0/g#2', 'apr_l:i1/g#1']);
    expect(run.outcome?.status).toBe('completed');
  });
});
