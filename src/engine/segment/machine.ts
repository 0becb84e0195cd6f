import type { Plan } from '../../definition/runtime.js';
import { advance } from '../advance.js';
import type { EngineState } from '../state.js';
import { FedState } from './fed-state.js';

export type { Moved, SegmentCall } from './fed-state.js';

/** Runs one segment's state. Pure; takes the state over and changes it (clone it first to keep it). */
export class SegmentMachine extends FedState {
  constructor(plan: Plan, state: EngineState) {
    super(plan, state, advance);
  }
}
