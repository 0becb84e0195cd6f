/** Inputs that meet a step in the middle of its opening or start, and repeats that come too late: fed by hand, in the order that breaks. */
import { advance, initialState, type EngineState } from '../../src/engine/index.js';
import type { ActivityResult, Command, EngineEvent, GateOutcome, Input } from '../../src/engine/types.js';
import { planOf, START_MS } from './support/driver.js';
import { gate, tool } from './support/steps.js';

type Happening = Input extends infer I ? (I extends Input ? Omit<I, 'at'> : never) : never;

/** The engine with nobody to answer it. */
class Alone {
  private state: EngineState;
  commands: Command[] = [];
  readonly events: EngineEvent[] = [];
  nowMs = START_MS;

  constructor(private readonly plan: ReturnType<typeof planOf>) {
    const { name, version, hash } = plan;
    const execution = { id: 'exe_1', ownerId: 'usr_1', workflowId: null, workflowName: name, version, hash, sessionId: 'ses_1' };
    this.state = initialState({
      engineVersion: 1,
      plan,
      variables: {},
      execution: { ...execution, triggerType: 'manual', depth: 0, parent: null },
    });
    this.feed({ kind: 'start' });
  }

  feed(happening: Happening): this {
    const result = advance(this.plan, this.state, { ...happening, at: this.nowMs });
    this.state = JSON.parse(JSON.stringify(result.state)) as EngineState;
    this.commands = [...result.commands];
    this.events.push(...result.events);
    return this;
  }

  answer(id: string, result: ActivityResult): this {
    return this.feed({ kind: 'answered', id, result });
  }

  cancel(): this {
    return this.feed({ kind: 'cancel', reason: null, by: null });
  }

  get isPaused(): boolean {
    return this.state.paused;
  }

  get timers(): readonly string[] {
    return Object.keys(this.state.timers);
  }
}

const PENDING: GateOutcome = { approvalId: 'apr_1', status: 'pending', decidedBy: [], decidedAt: null, reason: null, answer: { v: null } };
const finished = ({ commands }: Alone) => commands.find((command) => command.kind === 'finish');

describe('a cancel in the middle of an opening', () => {
  it('waits for the gate that is being opened, and closes it: none stays open for nobody', () => {
    const run = new Alone(planOf({ steps: [gate('g')] })).cancel();
    expect(run.commands).toEqual([]);
    run.answer('g#1', { of: 'gate', gate: PENDING });
    const [close] = run.commands.filter((command) => command.kind === 'activity');
    expect(close).toMatchObject({ name: 'expire_gate', approvalId: 'apr_1', to: 'cancelled' });
    run.answer(close?.id ?? '', { of: 'gate', gate: { ...PENDING, status: 'cancelled' } });
    expect(finished(run)).toMatchObject({ outcome: { status: 'cancelled', requested: true } });
  });

  it('has nothing to close when the row refused to open', () => {
    const run = new Alone(planOf({ steps: [gate('g')] })).cancel();
    run.answer('g#1', { of: 'gate', gate: { ...PENDING, approvalId: '', status: 'cancelled' } });
    expect(run.commands.filter((command) => command.kind === 'activity')).toEqual([]);
    expect(finished(run)).toMatchObject({ outcome: { status: 'cancelled' } });
  });

  it('waits for a child whose start is under way or queued, and cancels it', () => {
    const run = new Alone(planOf({ steps: [{ id: 's', type: 'subworkflow', workflow: 'w' }] }));
    run.answer('s#1', { of: 'child', executionId: 'exe_child', at: START_MS });
    expect(run.commands).toMatchObject([{ kind: 'start_child', id: 's#1:child' }]);
    expect(run.cancel().commands).toEqual([]);
    expect(run.feed({ kind: 'child_started', id: 's#1:child' }).commands).toMatchObject([
      { kind: 'cancel_child', executionId: 'exe_child' },
      { kind: 'timer' },
    ]);
    run.feed({ kind: 'child_ended', executionId: 'exe_child', outcome: { status: 'cancelled', output: { v: null }, error: null } });
    expect(finished(run)).toMatchObject({ outcome: { status: 'cancelled' } });
  });
});

describe('a command that comes again', () => {
  it('D24 a pause repeated behind the resume does not undo it', () => {
    const run = new Alone(planOf({ steps: [tool('a')] }));
    run.feed({ kind: 'pause', id: 'cmd_1', by: 'ana' }).feed({ kind: 'resume', id: 'cmd_2', by: 'ana' });
    run.feed({ kind: 'pause', id: 'cmd_1', by: 'ana' });
    expect(run.isPaused).toBe(false);
    run.feed({ kind: 'pause', id: 'cmd_3', by: 'ana' }).feed({ kind: 'resume', id: 'cmd_2', by: 'ana' });
    expect(run.isPaused).toBe(true);
  });

  it('of a raw signal, which has no id, counts each time', () => {
    const run = new Alone(planOf({ steps: [tool('a')] })).feed({ kind: 'pause', by: null }).feed({ kind: 'resume', by: null });
    expect(run.feed({ kind: 'pause', by: null }).isPaused).toBe(true);
  });
});

it('ends a run whose retry would wait longer than the run may last', () => {
  const step = tool('a', {}, { retry: { maxAttempts: 2 } });
  const run = new Alone(planOf({ steps: [step], constraints: { maxDuration: '1h' } }));
  const error = { code: 'http_429', message: 'later', retryable: true, retryAfterMs: 400 * 86_400_000 };
  run.answer('a#1', { of: 'step', answer: { ended: 'failed', at: run.nowMs, error } });
  expect(run.timers).toEqual(['a#1:retry', 'max_duration']);
  run.nowMs += 3_600_000;
  run.feed({ kind: 'timer', id: 'max_duration' });
  expect(finished(run)).toMatchObject({ outcome: { status: 'failed', error: { code: 'max_duration_exceeded' } } });
});
