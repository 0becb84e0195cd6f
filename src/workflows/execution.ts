/** The one generic workflow: interprets a compiled plan. Its id is the execution's id. */
import { ApplicationFailure, CancelledFailure } from '@temporalio/common';
import { CancellationScope, condition, isCancellation, log, proxyActivities, setHandler, uuid4, workflowInfo } from '@temporalio/workflow';
import type { ApproveSignal, CoreActivities } from '../activities/contract.js';
import type { Json } from '../definition/value.js';
import type { EngineState } from '../engine/index.js';
import { ENGINE_VERSION, type ExecutionInput, type ExecutionOutcome } from '../engine/types.js';
import { PLATFORM_RETRY } from './activity-calls.js';
import { fromHandOver } from './handed-over.js';
import { Host } from './host.js';
import { approveSignal, childSignal, eventSignal, pauseSignal, resumeSignal, stateQuery, TASK_QUEUES } from './messages.js';
import { isRecord, toChildSignal, toEventSignal, toPauseSignal } from './signal-shapes.js';

const { load } = proxyActivities<CoreActivities>({
  taskQueue: TASK_QUEUES.core,
  startToCloseTimeout: '4.5s',
  retry: PLATFORM_RETRY,
});

/** @param packed what a hand-over was packed into, when it says so */
export async function execution(given: ExecutionInput<EngineState>, packed?: Uint8Array): Promise<Json> {
  const input = fromHandOver(given, packed);
  // Signals may be buffered before the start data is loaded: handlers are registered first and hold what comes.
  const early: ((host: Host) => void)[] = [];
  let host: Host | undefined;
  const say = (act: (to: Host) => void): void => {
    if (host === undefined) early.push(act);
    else act(host);
  };
  listen(say, () => host?.snapshot() ?? null);
  // A promise that rejects when Temporal cancels the workflow; everything else runs shielded from it.
  CancellationScope.current().cancelRequested.catch((error: unknown) => say((to) => to.takeCancel(cancelReason(error))));
  return await CancellationScope.nonCancellable(async () => {
    const start = input.kind === 'load' ? await loadStart(input) : input;
    if (start.kind === 'nothing') return start.outcome;
    expectKnownVersion(start.start.engineVersion);
    host = new Host(start);
    for (const act of early) act(host);
    return await toTemporal(await host.run(), host);
  });
}

function listen(say: (act: (to: Host) => void) => void, snapshot: () => Json): void {
  setHandler(approveSignal, (signal: ApproveSignal) => {
    if (isRecord(signal) && typeof signal['approvalId'] === 'string') say((to) => to.takeApproval(signal));
    else log.warn('approve signal without approvalId is ignored');
  });
  setHandler(eventSignal, (raw) => {
    const fallbackId = uuid4();
    const signal = toEventSignal(raw);
    if (signal === undefined) log.warn('event signal without event is ignored');
    else say((to) => to.takeEvent(signal, fallbackId));
  });
  setHandler(pauseSignal, (raw) => say((to) => to.takePause('pause', toPauseSignal(raw))));
  setHandler(resumeSignal, (raw) => say((to) => to.takePause('resume', toPauseSignal(raw))));
  setHandler(childSignal, (raw) => {
    const signal = toChildSignal(raw);
    if (signal === undefined) log.warn('child signal of another shape is ignored');
    else say((to) => to.takeChild(signal));
  });
  setHandler(stateQuery, snapshot);
}

type Start = Extract<ExecutionInput<EngineState>, { kind: 'start' | 'continued' }> | { readonly kind: 'nothing'; readonly outcome: Json };

async function loadStart(input: Extract<ExecutionInput, { kind: 'load' }>): Promise<Start> {
  const asked = {
    executionId: input.executionId,
    ...(input.triggerId === undefined ? {} : { triggerId: input.triggerId }),
    firstExecutionRunId: workflowInfo().firstExecutionRunId,
  };
  const { start, outcome, nextSeed } = await load(asked);
  if (start === null) return { kind: 'nothing', outcome: outcome ?? null };
  const seeds = [...(start.seeds ?? [])];
  for (let from = nextSeed; from !== undefined; ) {
    const page = await load({ ...asked, seedsFrom: from });
    seeds.push(...(page.seeds ?? []));
    from = page.nextSeed;
  }
  return { kind: 'start', start: nextSeed === undefined ? start : { ...start, seeds } };
}

/** A worker that does not know a version fails the task, which is retried, never the execution (durability §4). */
function expectKnownVersion(version: number): void {
  if (version > ENGINE_VERSION) throw new Error(`This worker knows engine version ${ENGINE_VERSION}, the execution needs ${version}`);
}

const CANCEL_REQUEST_WITHIN = '10m';

/** How the end shows in Temporal (durability §9). */
async function toTemporal(outcome: ExecutionOutcome, host: Host): Promise<Json> {
  if (outcome.status === 'completed') return { status: 'completed', output: outcome.output as unknown as Json };
  if (outcome.status === 'failed') {
    const error = outcome.error ?? { code: 'internal_error', message: 'The execution failed without an error', retryable: false };
    throw ApplicationFailure.nonRetryable(error.message, error.code, error);
  }
  if (!outcome.requested) return { status: 'cancelled', reason: outcome.reason };
  // The row was cancelled first; Temporal's own request follows it, at the latest from the reconciler. The limit is for the one that
  // came before this workflow was started and found nobody.
  if (!host.isCancelRequested && !(await condition(() => host.isCancelRequested, CANCEL_REQUEST_WITHIN)))
    return { status: 'cancelled', reason: outcome.reason };
  throw new CancelledFailure(outcome.reason ?? 'Cancelled');
}

function cancelReason(error: unknown): string | null {
  return isCancellation(error) &&
    error instanceof Error &&
    error.message !== '' &&
    !/^(Workflow|Cancellation scope) cancelled$/i.test(error.message)
    ? error.message
    : null;
}
