/** The door of the engine. */
export { advance } from './advance.js';
export { stepsById } from './plan-index.js';
export { type EngineState, initialState } from './state.js';
export { projectionOf, statusOf } from './status.js';
export { sourceAt } from './sites.js';
export { type LeafPlan, inputSources, renderStepInput } from './step-input.js';
