/** The machine's one step: plan, state and an input in; state, commands and events out. */
import type { Plan } from '../definition/runtime.js';
import { handleInput } from './inputs.js';
import { runReady } from './machine.js';
import { Run } from './run.js';
import type { EngineState } from './state.js';
import { boundInlineValues } from './store-values.js';
import { statusOf, waitingFor } from './status.js';
import { tellExecution } from './tell.js';
import { armMaxDuration, checkMaxDuration, outlasts } from './timer-fired.js';
import type { AdvanceResult, Input } from './types.js';

/**
 * Handles one input and runs every fiber that can go on, in the order in which they became able to. Pure but for `state`: it takes
 * the state over and may change it, so the caller uses only the one returned (clone first to keep the old). Commands come in
 * order; with `more` set the pure stretch was cut after 1,000 steps: feed `continue`. Late, repeated and unknown inputs change
 * nothing but the counter; after `finish` nothing does.
 */
export function advance(plan: Plan, state: EngineState, input: Input): AdvanceResult<EngineState> {
  const run = new Run(plan, state, advance);
  state.counter += 1;
  state.nowMs = Math.max(state.nowMs, input.at);
  if (state.finished) return { state, commands: [], events: [], more: false };
  if (state.segment !== undefined) return advanceSegment(run, input);
  checkMaxDuration(run);
  handleInput(run, input);
  runReady(run);
  boundInlineValues(run);
  comeToRest(run);
  return { state, commands: run.commands, events: run.events, more: !state.finished && state.ready.length > 0 };
}

/** A stretch has no limits, waits and stored values of its own: those are the run's. */
function advanceSegment(run: Run, input: Input): AdvanceResult<EngineState> {
  const { state } = run;
  handleInput(run, input);
  runReady(run);
  return { state, commands: run.commands, events: run.events, more: state.ready.length > 0 };
}

/** Tells when the run has begun to wait, and arms the limit of its length once it rests. */
function comeToRest(run: Run): void {
  const { state } = run;
  if (state.finished || state.ready.length > 0) return;
  const before = state.status;
  state.status = statusOf(state);
  if (state.status !== 'waiting_approval' && state.status !== 'waiting_event') {
    if (state.status === 'paused' || outlasts(run)) armMaxDuration(run);
    return;
  }
  armMaxDuration(run);
  if (before !== state.status) tellExecution(run, 'execution.waiting', { status: state.status, for: waitingFor(state) });
}
