import type { SegmentInput, StepAnswer } from '../../src/engine/types.js';
import { addCommand } from '../../src/store/commands.js';
import { beginCancel, settleExecution } from '../../src/store/end-execution.js';
import { readEvents } from '../../src/store/event-log.js';
import type { ExecutionRecord } from '../../src/store/execution-record.js';
import { recordEvents } from '../../src/store/projection.js';
import {
  haltSegments,
  openSegment,
  recoverSegment,
  writeSegment,
  type SegmentAttempt,
  type SegmentOp,
  type SegmentOpResult,
  type SegmentWritten,
} from '../../src/store/segments.js';
import { getStep } from '../../src/store/step-list.js';
import { statement } from '../../src/store/statement.js';
import { aBegin, aCarry, aCompletion, anEngineEvent, anInstance, started, useDatabase } from './builders.js';

const answered = (id: string, answer: StepAnswer = aCompletion()): SegmentInput => ({
  kind: 'answered',
  id,
  at: 1_700_000_001_000,
  result: { of: 'step', answer },
});

describe('the journal of a segment', () => {
  const { db } = useDatabase();

  const attempt = (execution: ExecutionRecord, fence = 1): SegmentAttempt => ({ executionId: execution.id, segment: 's1', fence });
  const begin = (execution: ExecutionRecord, stepId: string, holder = 'attempt-1'): SegmentOp => {
    const { carry: _carry, executionId: _id, ...step } = aBegin(execution, { instance: anInstance({ stepId }), holder });
    return { op: 'begin', step };
  };
  const end = (stepId: string, fence: number | null = 1, answer = aCompletion()): SegmentOp => ({
    op: 'end',
    fence,
    step: { instance: anInstance({ stepId }), stepType: 'tool', answer, data: { by: stepId } },
  });
  const open = (execution: ExecutionRecord, fence = 1, ops = [begin(execution, 'a', `attempt-${fence}`)]) =>
    openSegment(db(), attempt(execution, fence), aCarry(), { journal: [], ops });
  const next = (execution: ExecutionRecord, fence = 1, isHalted = false) =>
    writeSegment(db(), attempt(execution, fence), {
      journal: [{ ordinal: 0, input: answered('a') }],
      ops: [end('a', fence), { op: 'append', events: [anEngineEvent()] }, begin(execution, 'b', `attempt-${fence}`)],
      isHalted,
    });
  const kindsOf = async (execution: ExecutionRecord) =>
    (await readEvents(db(), execution.id, 0, 1_000)).map(({ kind, stepId }) => (stepId === null ? kind : `${kind} ${stepId}`));
  const statusOf = async (execution: ExecutionRecord, stepId: string) =>
    (await getStep(db(), execution.id, anInstance({ stepId })))?.status ?? 'none';
  const resultsOf = (written: SegmentWritten | { kind: string }): readonly SegmentOpResult[] =>
    'results' in written ? (written as { results: readonly SegmentOpResult[] }).results : [];

  it('opens and begins in one transaction, behind what is carried; then ends, journals and begins in the next', async () => {
    const execution = await started(db());
    const opened = await openSegment(db(), attempt(execution), aCarry({ events: [anEngineEvent()] }), {
      journal: [],
      ops: [begin(execution, 'a')],
    });
    expect(opened).toEqual({ kind: 'written', halt: false, results: [{ op: 'begin', begun: { kind: 'run', fence: 1 } }] });
    expect(await next(execution)).toEqual({
      kind: 'written',
      halt: false,
      results: [
        { op: 'end', ended: { kind: 'ended', answer: aCompletion() } },
        { op: 'append' },
        { op: 'begin', begun: { kind: 'run', fence: 1 } },
      ],
    });
    expect(await kindsOf(execution)).toEqual([
      'execution.started',
      'step.completed set',
      'step.started a',
      'step.completed a',
      // The event of the engine is there already.
      'step.started b',
    ]);
    expect(await statusOf(execution, 'b')).toBe('running');
  });

  it('gives a later attempt what was fed, in order, and begins nothing for it', async () => {
    const execution = await started(db());
    await open(execution);
    await next(execution);
    const inputs = [answered('b'), { kind: 'halt' as const, at: 1_700_000_002_000 }];
    await writeSegment(db(), attempt(execution), {
      journal: inputs.map((input, index) => ({ ordinal: index + 1, input })),
      ops: [end('b')],
      isHalted: false,
    });
    expect(await open(execution, 2, [begin(execution, 'z')])).toEqual({ kind: 'begun', halt: false, journal: [answered('a'), ...inputs] });
    expect(await statusOf(execution, 'z')).toBe('none');
  });

  it('D20: writes of a lower fence change nothing, whatever they are', async () => {
    const execution = await started(db());
    await open(execution);
    expect(await open(execution, 2)).toMatchObject({ kind: 'begun' });
    const before = await kindsOf(execution);
    expect(await next(execution, 1)).toEqual({ kind: 'superseded' });
    expect(await open(execution, 1)).toEqual({ kind: 'superseded' });
    expect(await writeSegment(db(), attempt(execution, 1), { journal: [], ops: [end('a', null)], isHalted: true })).toEqual({
      kind: 'superseded',
    });
    expect(await kindsOf(execution)).toEqual(before);
    expect(await statusOf(execution, 'a')).toBe('running');
    expect(await open(execution, 3)).toEqual({ kind: 'begun', halt: false, journal: [] });
  });

  it('answers again, and writes nothing again, when an answer was lost on the way', async () => {
    const execution = await started(db());
    await open(execution);
    const first = await next(execution);
    const events = await kindsOf(execution);
    expect(await next(execution)).toEqual(first);
    // Also where a halt has come between the two.
    await haltSegments(db(), execution.id, ['s1']);
    expect(await next(execution)).toEqual({ ...first, halt: true });
    expect(await kindsOf(execution)).toEqual(events);
    expect(await open(execution, 2)).toMatchObject({ journal: [answered('a')] });
  });

  it.each<[string, (execution: ExecutionRecord) => Promise<unknown>]>([
    ['of the segment', (execution) => haltSegments(db(), execution.id, ['s1', 's2'])],
    ['by a pause', ({ id }) => addCommand(db(), { ownerId: 'usr_ana', executionId: id, kind: 'pause', by: null })],
    ['by a cancel', ({ id }) => beginCancel(db(), id, { ownerId: null, by: null, reason: null })],
  ])('D19: a halt %s is seen by the next write, which begins nothing behind it', async (_, halt) => {
    const execution = await started(db());
    await open(execution);
    await halt(execution);
    expect(await next(execution)).toEqual({ kind: 'halted' });
    expect([await statusOf(execution, 'a'), await statusOf(execution, 'b')]).toEqual(['running', 'none']);
    expect(await open(execution, 2)).toEqual({ kind: 'begun', halt: true, journal: [] });
    // What is in flight may begin again, and what has ended is written by whoever knows of the halt.
    const again = await writeSegment(db(), attempt(execution, 2), {
      journal: [],
      ops: [begin(execution, 'a', 'attempt-2')],
      isHalted: false,
    });
    expect(resultsOf(again)).toEqual([{ op: 'begin', begun: { kind: 'run', fence: 2 } }]);
    const known = await writeSegment(db(), attempt(execution, 2), {
      journal: [
        { ordinal: 0, input: { kind: 'halt', at: 1_700_000_001_000 } },
        { ordinal: 1, input: answered('a') },
      ],
      ops: [end('a', 2)],
      isHalted: true,
    });
    expect(known).toMatchObject({ kind: 'written', halt: true });
    expect(await statusOf(execution, 'a')).toBe('completed');
  });

  it('a segment that was asked to halt before it began never begins; a paused execution lets it begin its first calls', async () => {
    const [asked, paused] = [await started(db()), await started(db())];
    await haltSegments(db(), asked.id, ['s1']);
    expect(await open(asked)).toEqual({ kind: 'refused' });
    expect(await statusOf(asked, 'a')).toBe('none');
    await addCommand(db(), { ownerId: 'usr_ana', executionId: paused.id, kind: 'pause', by: null });
    expect(await open(paused)).toMatchObject({ kind: 'written', halt: true });
  });

  it('resume ends the halt, by command or by what the engine has come to', async () => {
    const [commanded, raw] = [await started(db()), await started(db())];
    for (const { id } of [commanded, raw]) await addCommand(db(), { ownerId: 'usr_ana', executionId: id, kind: 'pause', by: null });
    await addCommand(db(), { ownerId: 'usr_ana', executionId: commanded.id, kind: 'resume', by: null });
    expect(await open(commanded)).toMatchObject({ halt: false });
    await recordEvents(db(), raw.id, aCarry({ status: 'paused' }));
    await recordEvents(db(), raw.id, aCarry({ status: 'running' }));
    expect(await open(raw)).toMatchObject({ halt: false });
  });

  it('recover fences every attempt off and tells what they were fed', async () => {
    const execution = await started(db());
    await open(execution, 7);
    await next(execution, 7);
    const recover = () => recoverSegment(db(), { executionId: execution.id, segment: 's1' }, aCarry());
    expect(await recover()).toEqual([answered('a')]);
    expect(await recover()).toEqual([answered('a')]);
    expect(await open(execution, 8)).toEqual({ kind: 'superseded' });
    expect(await next(execution, 7)).toEqual({ kind: 'superseded' });
    // One that had not begun never will.
    expect(await recoverSegment(db(), { executionId: execution.id, segment: 's2' }, aCarry())).toBeUndefined();
    expect(await openSegment(db(), { ...attempt(execution), segment: 's2' }, aCarry(), { journal: [], ops: [] })).toEqual({
      kind: 'superseded',
    });
  });

  it('an execution that has ended takes nothing, and leaves no journal behind', async () => {
    const execution = await started(db());
    await open(execution);
    await next(execution);
    await settleExecution(db(), execution.id, null, { status: 'completed', output: { v: 1 }, error: null, reason: null, requested: false });
    expect(await next(execution)).toEqual({ kind: 'closed' });
    expect(await open(execution, 2)).toEqual({ kind: 'closed' });
    expect(await recoverSegment(db(), { executionId: execution.id, segment: 's1' }, aCarry())).toBe('closed');
    const left = await db().rows(
      statement(
        'left_of_segments',
        'SELECT segment_id FROM segments WHERE execution_id = $1 UNION ALL SELECT segment_id FROM segment_inputs WHERE execution_id = $1',
      ),
      [execution.id],
    );
    expect(left).toEqual([]);
  });

  it('a step that was settled from outside answers with what its row says', async () => {
    const execution = await started(db());
    await open(execution);
    await writeSegment(db(), attempt(execution), {
      journal: [],
      ops: [end('a', null, { ended: 'cancelled', at: 5 } as never)],
      isHalted: true,
    });
    const again = await writeSegment(db(), attempt(execution), { journal: [], ops: [begin(execution, 'a', 'attempt-2')], isHalted: true });
    expect(resultsOf(again)).toEqual([{ op: 'begin', begun: { kind: 'ended', answer: { ended: 'cancelled', at: 5 } } }]);
  });

  it('fifty calls begin and end in a transaction each, in order', async () => {
    const execution = await started(db());
    const ids = Array.from({ length: 50 }, (_, index) => `c${index}`);
    await openSegment(db(), attempt(execution), aCarry(), { journal: [], ops: ids.map((id) => begin(execution, id)) });
    const written = await writeSegment(db(), attempt(execution), {
      journal: ids.map((id, ordinal) => ({ ordinal, input: answered(id) })),
      ops: ids.map((id) => end(id)),
      isHalted: false,
    });
    expect(resultsOf(written)).toHaveLength(50);
    expect((await kindsOf(execution)).slice(1)).toEqual([
      ...ids.map((id) => `step.started ${id}`),
      ...ids.map((id) => `step.completed ${id}`),
    ]);
    expect(await open(execution, 2)).toMatchObject({ journal: ids.map((id) => answered(id)) });
  });
});
