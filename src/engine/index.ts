/** The door of the engine. */
export { advance } from './advance.js';
export { type DryRunInput, type DryRunResult, dryRun } from './dry-run/dry-run.js';
export type { DryEvent, DryStep } from './dry-run/dry-log.js';
export type { Mock, MockError, Mocks } from './dry-run/mocks.js';
export { chunkAnswer, chunkOf, itemAt } from './list-chunk.js';
export { blockOf, stepsById } from './plan-index.js';
export { type Moved, type SegmentCall, SegmentMachine } from './segment/machine.js';
export { SEGMENT_STEPS } from './segment/light.js';
export type { RecordedStep, RerunRefusal, RerunTarget } from './rerun-refusal.js';
export { buildSeeds } from './seeds.js';
export { type SiteSource, sourceAt } from './sites.js';
export { type EngineState, initialState, ROOT_FIBER } from './state.js';
export { projectionOf, statusOf } from './status.js';
export { type LeafPlan, inputSources, renderStepInput } from './step-input.js';
