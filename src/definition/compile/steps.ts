/** Steps and lists of steps: their type, id and fields, then what their type asks for. */
import { isRecord } from '../blocks.js';
import { didYouMean } from '../nearest.js';
import type { Block, PlanStep } from '../plan.js';
import { type Lenient, parseLeniently } from '../schema/lenient-parse.js';
import { STEP_SCHEMAS, STEP_TYPES, type StepTypeName, isStepType } from '../schema/steps.js';
import { compileAgentPrompt, compileApproval, compileBash, compileNotify, compileSubworkflow, compileTool } from './acting-steps.js';
import {
  type CompileBlock,
  compileConditional,
  compileLoop,
  compileParallel,
  compileSwitch,
  compileTry,
  publishedNames,
} from './container-steps.js';
import { type Compilation, type Place, inside } from './context.js';
import { reportIssues } from './issues.js';
import { compileSet, compileStop, compileWait, compileWaitForEvent } from './pure-steps.js';
import { StepSource } from './step-common.js';

export const MAX_STEP_DEPTH = 50;

type Compile<T extends StepTypeName> = (
  source: StepSource,
  fields: Lenient<(typeof STEP_SCHEMAS)[T]>,
  compileBlock: CompileBlock,
) => Extract<PlanStep, { readonly type: T }>;

/** One for each type: a new one does not compile until it is here. */
const COMPILERS: { readonly [T in StepTypeName]: Compile<T> } = {
  agent_prompt: compileAgentPrompt,
  tool: compileTool,
  bash: compileBash,
  notify: compileNotify,
  approval: compileApproval,
  conditional: compileConditional,
  switch: compileSwitch,
  loop: compileLoop,
  parallel: compileParallel,
  try: compileTry,
  set: compileSet,
  wait: compileWait,
  wait_for_event: compileWaitForEvent,
  subworkflow: compileSubworkflow,
  stop: compileStop,
};

/** Names of other languages, and of earlier ones. */
const HINTS: { readonly [type: string]: string } = {
  agent: 'Use agent_prompt',
  agent_message: 'Use agent_prompt to ask an agent, notify to tell somebody',
  prompt: 'Use agent_prompt to ask an agent, notify to tell somebody',
  if: 'Use conditional',
  foreach: 'Use loop',
  for: 'Use loop',
  while: 'Use loop with the field while',
  http: 'Use tool with "tool": "http:request"',
  sleep: 'Use wait',
  delay: 'Use wait',
  shell: 'Use bash',
  script: 'Use bash',
  break: 'Give the loop the field until, or while',
  workflow: 'Use subworkflow',
  call: 'Use tool or subworkflow',
  case: 'Use switch',
  message: 'Use notify',
  assign: 'Use set',
  fail: 'Use stop with "outcome": "failed"',
};

/** Compiles steps in author order; each sees what those before it publish. */
export function compileSteps(steps: readonly unknown[], place: Place, compilation: Compilation): Block {
  if (place.depth >= MAX_STEP_DEPTH) {
    compilation.error('malformed_definition', place, `Steps are nested deeper than ${MAX_STEP_DEPTH} levels`);
    return [];
  }
  const compiled: PlanStep[] = [];
  steps.forEach((step, index) => {
    if (compiled.at(-1)?.type === 'stop' && compiled.at(-1)?.when === undefined && index === compiled.length)
      compilation.warn('unreachable_branch', stepPlace(step, index, place), 'Nothing runs after the stop before it');
    const plan = compileStep(step, stepPlace(step, index, place), compilation);
    if (plan !== undefined) compiled.push(plan);
    place.published.add(publishedNames([step]));
  });
  return compiled;
}

function stepPlace(step: unknown, index: number, place: Place): Place {
  const id = isRecord(step) ? step['id'] : undefined;
  const { from = 0, ...rest } = place;
  return { ...rest, path: [...place.path, index + from], stepId: typeof id === 'string' ? id.slice(0, 100) : undefined };
}

function compileStep(step: unknown, place: Place, compilation: Compilation): PlanStep | undefined {
  if (!isRecord(step)) {
    compilation.error('malformed_definition', place, 'A step is an object');
    return undefined;
  }
  const type = step['type'];
  if (!isStepType(type)) {
    reportType(type, place, compilation);
    return undefined;
  }
  return compileTyped(type, new StepSource(step, place, compilation));
}

function compileTyped(type: StepTypeName, source: StepSource): PlanStep {
  const schema = STEP_SCHEMAS[type];
  const { fields, issues } = parseLeniently(schema, source.raw);
  reportIssues(issues, source.raw, schema, source.place, source.compilation);
  const compileBlock: CompileBlock = (steps, place) => compileSteps(steps, { ...place, depth: source.place.depth + 1 }, source.compilation);
  const compile = COMPILERS[type] as (source: StepSource, fields: object, compileBlock: CompileBlock) => PlanStep;
  return compile(source, fields, compileBlock);
}

function reportType(type: unknown, place: Place, compilation: Compilation): void {
  const here = inside(place, 'type');
  if (type === undefined) return compilation.error('missing_field', here, `type is missing; the types are ${STEP_TYPES.join(', ')}`);
  const name = typeof type === 'string' ? type.slice(0, 100) : JSON.stringify(type).slice(0, 100);
  const suggestion = Object.hasOwn(HINTS, name) ? HINTS[name] : didYouMean(name, STEP_TYPES);
  return compilation.error('unknown_step_type', here, `There is no step type ${name}; the types are ${STEP_TYPES.join(', ')}`, {
    suggestion,
  });
}
