/**
 * The deterministic host of one execution: feeds the engine, carries out its commands, hands over by continue-as-new.
 * It decides nothing: the engine says what follows, the rows say what a race settled.
 */
import { ChildWorkflowCancellationType, isCancellation, makeContinueAsNewFunc, ParentClosePolicy, startChild } from '@temporalio/workflow';
import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import type { ApproveSignal } from '../activities/contract.js';
import type { Json, Value } from '../definition/value.js';
import { advance, initialState, projectionOf, type EngineState } from '../engine/index.js';
import type { ActivityCommand, ActivityResult, Command, ExecutionInput, ExecutionOutcome, Input, StartData } from '../engine/types.js';
import { callActivity, faultResult, toResult } from './activity-calls.js';
import { CallQueue, type Holding } from './call-queue.js';
import { GateSignals } from './gate-signals.js';
import { type HandedOver, toHandOver } from './handed-over.js';
import { HistoryBudget } from './history-budget.js';
import type { ChildSignal, EventSignal, PauseSignal } from './messages.js';
import { EXECUTION_WORKFLOW, TASK_QUEUES } from './messages.js';
import { childSearchAttributes, Details, StatusAttribute } from './operator-view.js';
import { local, RunRecord } from './run-record.js';
import type { PackedQueue } from './packed-queue.js';
import { type TimerCommand, Timers } from './timers.js';

/** An input as it happens; the time is set when the engine takes it. */
type Happening = Input extends infer I ? (I extends Input ? Omit<I, 'at'> : never) : never;
type ChildCommand = Extract<Command, { kind: 'start_child' }>;

/** What the host itself takes across a hand-over. */
interface Baggage {
  readonly queue: PackedQueue;
  readonly timers: readonly TimerCommand[];
  readonly gates: readonly string[];
  readonly shownStatus: string | null;
}

/** Carried events beyond this are flushed before the next activity is issued (durability §7). */
const CARRY_LIMIT_BYTES = 64 * 1024;
/** The same for what all activities of one task would carry together, each a copy: a task's commands are one request of 4 MiB (notes §7). */
const CARRY_PER_TASK_BYTES = 256 * 1024;

export class Host {
  private state: EngineState;
  private readonly start: Omit<StartData, 'seeds'>;
  private readonly inbox: Happening[] = [];
  private readonly approvals: GateSignals;
  private readonly record: RunRecord;
  private readonly calls: CallQueue;
  private readonly timers = new Timers((id) => this.post({ kind: 'timer', id }));
  private readonly status: StatusAttribute;
  private readonly details: Details;
  private cancelReason: string | null | undefined;
  private cancelBegun = false;
  private more = false;
  private wakeUp: (() => void) | undefined;
  private readonly childNames = new Map<string, string>();
  /** Cancels on their way to children: a hand-over would drop them. */
  private cancelsUnderWay = 0;
  private readonly history = new HistoryBudget();
  private finish: ExecutionOutcome | undefined;

  constructor(input: Extract<ExecutionInput<EngineState>, { kind: 'start' | 'continued' }>) {
    const { seeds: _seeds, ...start }: StartData = input.start;
    this.start = start;
    this.details = new Details(start.plan);
    this.record = new RunRecord(
      start,
      () => projectionOf(start.plan, this.state),
      () => this.endAsRowSays(),
    );
    if (input.kind === 'start') {
      this.state = initialState(input.start);
      this.calls = new CallQueue();
      this.approvals = new GateSignals();
      this.status = new StatusAttribute(null);
      this.post({ kind: 'start' });
      return;
    }
    this.state = input.state;
    const baggage = input.host as unknown as Baggage;
    this.calls = new CallQueue(baggage.queue);
    this.approvals = new GateSignals(baggage.gates);
    this.status = new StatusAttribute(baggage.shownStatus);
    for (const timer of baggage.timers) this.timers.arm(timer);
  }

  // ---- what arrives: handlers only push (notes §11) ----

  takeApproval(signal: ApproveSignal): void {
    this.approvals.push(signal);
    this.wake();
  }

  takeEvent(signal: EventSignal, fallbackId: string): void {
    const id = signal.id ?? fallbackId;
    const payload: Value = signal.value ?? { v: signal.payload ?? null };
    this.post({ kind: 'event', id, event: signal.event, payload });
    this.record.addDelivered(signal.id);
  }

  takePause(kind: 'pause' | 'resume', signal: PauseSignal): void {
    this.post({ kind, by: signal.by ?? null, ...(signal.id === undefined ? {} : { id: signal.id }) });
    this.record.addDelivered(signal.id);
  }

  takeChild(signal: ChildSignal): void {
    this.post({ kind: 'child_ended', executionId: signal.executionId, outcome: signal.outcome });
    this.record.addDelivered(signal.id);
  }

  takeCancel(reason: string | null): void {
    this.cancelReason = reason;
    this.wake();
  }

  snapshot(): Json {
    return this.state as unknown as Json;
  }

  // ---- the driver ----

  /** Runs until the execution has ended or is handed over (then it throws ContinueAsNew). Awaits nothing that it need not: see short-stacks. */
  async run(): Promise<ExecutionOutcome> {
    for (;;) {
      if (!this.hasWork()) await this.untilWoken();
      if (this.isCancelDue()) await this.beginCancelIfAsked();
      if (this.approvals.areWaiting) await this.readApprovals();
      this.feedInbox();
      if (this.more) await this.goOnPure();
      if (this.finish !== undefined) return await this.settle(this.finish);
      if (this.isCarryTooLarge()) await this.record.flush();
      const toHalt = this.segmentsToHalt();
      if (toHalt.length > 0) await this.haltSegments(toHalt);
      this.pump();
      // What no issued activity carries would wait for the next one: readers see it at once.
      if (this.record.hasUnhanded) await this.record.flush();
      this.show();
      if (this.canHandOver()) await this.handOver();
    }
  }

  private post(happening: Happening): void {
    this.inbox.push(happening);
    this.wake();
  }

  private wake(): void {
    this.wakeUp?.();
    this.wakeUp = undefined;
  }

  private untilWoken(): Promise<void> {
    return new Promise((resolve) => {
      this.wakeUp = resolve;
    });
  }

  /** Whether Temporal's own request to cancel has come; the row may have been cancelled before it. */
  get isCancelRequested(): boolean {
    return this.cancelReason !== undefined;
  }

  private isCancelDue(): boolean {
    return this.cancelReason !== undefined && !this.cancelBegun;
  }

  private hasWork(): boolean {
    return (
      this.finish !== undefined ||
      this.inbox.length > 0 ||
      this.more ||
      this.approvals.hasWork(this.calls.isOpeningGate()) ||
      this.isCancelDue() ||
      this.calls.hasNext(this.holding()) ||
      this.canHandOver()
    );
  }

  /** The host's first act on a raw Temporal cancel; after our own it finds the row `cancelling` already. */
  private async beginCancelIfAsked(): Promise<void> {
    const requested = this.cancelReason;
    if (requested === undefined || this.cancelBegun) return;
    this.cancelBegun = true;
    const { proceed, reason, by } = await this.record.callLocal((common) => local.beginCancel({ ...common, reason: requested }));
    if (proceed) this.post({ kind: 'cancel', reason, by });
    else this.finish = { status: 'cancelled', output: { v: null }, error: null, reason: requested, requested: true };
  }

  /** The row has ended without this workflow, which ends too (durability §9). Settling answers with the row's own end. */
  private endAsRowSays(): void {
    this.finish ??= { status: 'cancelled', output: { v: null }, error: null, reason: 'execution_ended', requested: false };
    this.wake();
  }

  private async readApprovals(): Promise<void> {
    for (const signal of this.approvals.take(this.calls.isOpeningGate())) {
      const gate = await this.record.callLocal((common) => local.readGate({ ...common, approvalId: signal.approvalId, signal }));
      if (gate?.closed === true) return this.endAsRowSays();
      if (gate !== null && gate.status !== 'pending') this.post({ kind: 'gate', gate });
    }
  }

  private feedInbox(): void {
    while (this.finish === undefined && !this.more) {
      const next = this.inbox.shift();
      if (next === undefined) return;
      this.feed(next);
    }
  }

  /**
   * A pure stretch goes on in chunks, each after the events of the one before are written (durability §4). What happens meanwhile is
   * taken between two of them: a cancel or pause does not wait for the end of the stretch, and other fibers' work is issued.
   */
  private async goOnPure(): Promise<void> {
    while (this.more && !this.isOver) {
      await this.record.flush();
      this.pump();
      await this.beginCancelIfAsked();
      if (!this.isOver) this.feed(this.inbox.shift() ?? { kind: 'continue' });
    }
  }

  private get isOver(): boolean {
    return this.finish !== undefined;
  }

  private feed(happening: Happening): void {
    if (happening.kind === 'answered' && happening.result.of === 'gate') this.approvals.note(happening.result.gate);
    if (happening.kind === 'gate') this.approvals.note(happening.gate);
    const result = advance(this.start.plan, this.state, { ...happening, at: Date.now() });
    this.state = result.state;
    this.more = result.more;
    this.record.add(result.events);
    for (const command of result.commands) this.carryOut(command);
  }

  // ---- commands ----

  private carryOut(command: Command): void {
    switch (command.kind) {
      case 'activity':
      case 'start_child':
        this.calls.add(command);
        return;
      case 'cancel_activity':
        this.cancelActivity(command.id);
        return;
      case 'timer':
        this.timers.arm(command);
        return;
      case 'cancel_timer':
        this.timers.cancel(command.id);
        return;
      case 'cancel_child':
        this.cancelChild(command.executionId, command.reason);
        return;
      case 'finish':
        this.finish = command.outcome;
    }
  }

  private cancelActivity(id: string): void {
    const command = this.calls.cancel(id);
    if (command === undefined) return;
    const isSegment = command.kind === 'activity' && command.name === 'segment';
    this.post({ kind: 'answered', id, result: isSegment ? NEVER_RAN : { of: 'lost', timedOut: false } });
  }

  /** Segments that a pause or a hand-over waits for. */
  private segmentsToHalt(): string[] {
    return this.state.paused || this.isHandOverDue() ? this.calls.segmentsAtWork() : [];
  }

  private async haltSegments(segments: readonly string[]): Promise<void> {
    this.calls.noteHalted(segments);
    await this.record.callLocal((common) => local.haltSegments({ ...common, segments }));
  }

  private cancelChild(childId: string, reason: string): void {
    this.cancelsUnderWay += 1;
    void local
      .cancelChild({ ...this.record.commonAlone(), childId, reason })
      .catch((error: unknown) => this.expectCancellation(error))
      .then(() => {
        this.cancelsUnderWay -= 1;
        this.wake();
      });
  }

  /** Issues what waits, within the limits of a task; the rest stays queued (durability §5). */
  private pump(): void {
    if (this.isOver) return;
    for (let command = this.calls.next(this.holding()); command !== undefined; command = this.calls.next(this.holding())) {
      if (command.kind === 'activity') this.issueActivity(command);
      else this.issueChild(command);
    }
  }

  private isCarryTooLarge(): boolean {
    return this.record.bytes > CARRY_LIMIT_BYTES || this.record.bytes * this.calls.waitingCount > CARRY_PER_TASK_BYTES;
  }

  private issueActivity(ordered: ActivityCommand): void {
    const command = this.withState(ordered);
    const scope = this.calls.begin(command, JSON.stringify(command).length + Math.min(this.record.bytes, CARRY_LIMIT_BYTES));
    const { common, mark } = this.record.take(CARRY_LIMIT_BYTES);
    const answered = (result: ActivityResult): void => {
      this.calls.end(command.id);
      if (result.of === 'lost') this.record.forget();
      else this.record.acknowledge(mark);
      if (isOfClosed(result)) return this.endAsRowSays();
      // Known from here on: a signal kept for it must not be judged before the answer is fed.
      if (result.of === 'gate') this.approvals.note(result.gate);
      if (result.of === 'child' && result.workflowName !== undefined) this.childNames.set(result.executionId, result.workflowName);
      this.post({ kind: 'answered', id: command.id, result });
    };
    void scope
      .run(() => callActivity(command, common, this.runLeftMs()))
      .then(
        (answer) => answered(toResult(command, answer)),
        (error: unknown) => answered(faultResult(command, error)),
      );
  }

  /** A segment's state goes along only now: it stands in the run's state once, however long its call waits. */
  private withState(command: ActivityCommand): ActivityCommand {
    if (command.name !== 'segment') return command;
    const given = this.state.segments?.[command.segment]?.given;
    if (given === undefined) throw new Error(`There is no segment ${command.segment}`);
    return { ...command, state: given } as ActivityCommand;
  }

  /** What is left of the run's own limit while it counts; null in a clean-up, which has a limit of its own. */
  private runLeftMs(): number | null {
    const { startedAt, ending } = this.state;
    return ending === null ? startedAt + this.start.plan.constraints.maxDurationMs - Date.now() : null;
  }

  private issueChild(command: ChildCommand): void {
    this.calls.begin(command, JSON.stringify(command).length);
    const { ownerId, workflowName } = this.start.execution;
    void startChild(EXECUTION_WORKFLOW, {
      workflowId: command.executionId,
      taskQueue: TASK_QUEUES.core,
      args: [{ kind: 'load', executionId: command.executionId }],
      parentClosePolicy: ParentClosePolicy.ABANDON,
      cancellationType: ChildWorkflowCancellationType.ABANDON,
      workflowIdReusePolicy: 'REJECT_DUPLICATE',
      staticSummary: `${command.instance.stepId} · subworkflow of ${workflowName}`.slice(0, 200),
      typedSearchAttributes: childSearchAttributes(ownerId, this.childNames.get(command.executionId)),
    }).then(
      () => this.childStarted(command.id),
      (error: unknown) => {
        // The reconciler may have started the prepared row first.
        if (error instanceof WorkflowExecutionAlreadyStartedError) this.childStarted(command.id);
        else this.expectCancellation(error);
      },
    );
  }

  private childStarted(id: string): void {
    this.calls.end(id);
    this.post({ kind: 'child_started', id });
  }

  // ---- the end ----

  private async settle(outcome: ExecutionOutcome): Promise<ExecutionOutcome> {
    this.timers.cancelAll();
    const settled = await this.record.callLocal((common) => local.settle({ ...common, outcome }));
    this.status.showEnd(settled.outcome.status);
    return settled.outcome;
  }

  private show(): void {
    const projection = projectionOf(this.start.plan, this.state);
    this.status.show(projection.status);
    this.details.show(projection);
  }

  // ---- hand-over ----

  private holding(): Holding {
    if (!this.isHandOverDue()) return 'no';
    return this.history.isFarOver() ? 'forced' : 'due';
  }

  private isHandOverDue(): boolean {
    return this.history.isUsedUp() && this.cancelReason === undefined && projectionOf(this.start.plan, this.state).status !== 'cancelling';
  }

  private canHandOver(): boolean {
    return (
      this.isHandOverDue() &&
      !this.calls.isAnyInFlight &&
      this.cancelsUnderWay === 0 &&
      this.inbox.length === 0 &&
      !this.more &&
      !this.approvals.areWaiting &&
      this.finish === undefined
    );
  }

  private async handOver(): Promise<void> {
    await this.record.flush();
    if (!this.canHandOver()) return;
    const baggage: Baggage = {
      queue: this.calls.pack(),
      timers: this.timers.commands(),
      gates: this.approvals.openGates,
      shownStatus: this.status.shown,
    };
    const continueAsNew = makeContinueAsNewFunc<(...given: HandedOver) => Promise<unknown>>({});
    await continueAsNew(...toHandOver({ kind: 'continued', start: this.start, state: this.state, host: baggage as unknown as Json }));
  }

  private expectCancellation(error: unknown): void {
    if (!isCancellation(error)) throw error;
  }
}

/** The answer for a segment that was taken back before a worker had it. */
const NEVER_RAN: ActivityResult = { of: 'segment', inputs: [], hash: null, late: [] };

/** The answer of an activity that found the execution's row ended. */
function isOfClosed(result: ActivityResult): boolean {
  switch (result.of) {
    case 'gate':
      return result.gate.closed === true;
    case 'step':
      return result.answer.ended === 'cancelled' && result.answer.closed === true;
    case 'segment':
    case 'agent_open':
    case 'agent_turn':
    case 'agent_tool':
    case 'agent_close':
      return result.closed === true;
    case 'child':
    case 'value':
    case 'values':
    case 'fault':
    case 'lost':
      return false;
  }
}
