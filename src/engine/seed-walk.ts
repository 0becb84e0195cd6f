/** Walks the plan to the target of a rerun and takes along what is recorded of everything before it. */
import {
  type Block,
  innerPath,
  type Json,
  type LoopPlan,
  NULL_VALUE,
  type ParallelPlan,
  parseIterationPath,
  type PathSegment,
  type Plan,
  type PlanStep,
  type TryPlan,
} from '../definition/runtime.js';
import { matchesCode } from './faults.js';
import { blockOf } from './plan-index.js';
import { type RecordedStep, refuse, type RerunTarget } from './rerun-refusal.js';
import type { Seed, StepError } from './types.js';

const ENDED = new Set(['completed', 'failed', 'skipped']);
const rowKey = (path: string, stepId: string): string => `${path}|${stepId}`;

export class SeedWalk {
  private readonly rows = new Map<string, RecordedStep>();
  private readonly byContainer = new Map<string, RecordedStep[]>();
  private readonly seeds: Seed[] = [];

  constructor(
    private readonly plan: Plan,
    rows: readonly RecordedStep[],
  ) {
    for (const row of rows) {
      const known = this.rows.get(rowKey(row.iterationPath, row.stepId));
      if (known === undefined || known.attempt < row.attempt) this.rows.set(rowKey(row.iterationPath, row.stepId), row);
    }
    for (const row of this.rows.values()) this.fileUnderContainers(row);
  }

  walk(target: RerunTarget): readonly Seed[] {
    let segments: readonly PathSegment[];
    try {
      segments = parseIterationPath(target.iterationPath);
    } catch {
      return refuse('step_unknown', `"${target.iterationPath}" is no iteration path`, target.stepId, target.iterationPath);
    }
    let block: Block = this.plan.steps;
    let path = '';
    for (const { container, disc } of segments) {
      const step = this.seedBefore(block, path, container);
      this.open(step, path, disc);
      path = innerPath(path, container, disc);
      block = blockOf(this.plan, container, disc.startsWith('i') ? 'i' : disc);
    }
    this.seedBefore(block, path, target.stepId);
    return this.seeds;
  }

  /** Each container's rows at any depth below one of its instances, so that a finished one brings its children along. */
  private fileUnderContainers(row: RecordedStep): void {
    const segments = row.iterationPath === '' ? [] : row.iterationPath.split('/');
    segments.forEach((segment, depth) => {
      const key = rowKey(segments.slice(0, depth).join('/'), segment.slice(0, segment.indexOf(':')));
      const list = this.byContainer.get(key) ?? [];
      if (list.length === 0) this.byContainer.set(key, list);
      list.push(row);
    });
  }

  /** Seeds what stands before a step in its block. @returns the step itself */
  private seedBefore(block: Block, path: string, stepId: string): PlanStep {
    const index = block.findIndex(({ id }) => id === stepId);
    const step = block[index];
    if (step === undefined) return refuse('step_unknown', `There is no step ${stepId} at "${path}"`, stepId, path);
    for (const earlier of block.slice(0, index)) {
      const row = this.recorded(earlier, path);
      if (row.status === 'failed' && earlier.onError === 'fail')
        refuse('not_recorded', `Step ${earlier.id} failed: what follows it has nothing to start from`, earlier.id, path);
      this.seedDone(earlier, row);
    }
    return step;
  }

  private recorded(step: PlanStep, path: string): RecordedStep {
    const row = this.rows.get(rowKey(path, step.id));
    if (row === undefined || !ENDED.has(row.status)) return refuse('not_recorded', `Step ${step.id} has no recorded result`, step.id, path);
    if (row.stepType !== step.type)
      return refuse('step_changed', `Step ${step.id} was of type ${row.stepType} and now is ${step.type}`, step.id, path);
    return row;
  }

  private seedDone(step: PlanStep, row: RecordedStep): void {
    this.seeds.push(seedOf(step, row, 'done', row.choice));
    for (const inner of this.byContainer.get(rowKey(row.iterationPath, step.id)) ?? []) {
      if (ENDED.has(inner.status)) this.seeds.push(seedOf({ type: inner.stepType as PlanStep['type'] }, inner, 'done', inner.choice));
    }
  }

  /** The container that the target lies in is entered the recorded way. */
  private open(step: PlanStep, path: string, disc: string): void {
    const row = this.rows.get(rowKey(path, step.id));
    if (row === undefined) return refuse('not_recorded', `Step ${step.id} was never entered`, step.id, path);
    if (row.stepType !== step.type)
      refuse('step_changed', `Step ${step.id} was of type ${row.stepType} and now is ${step.type}`, step.id, path);
    const choice = this.openChoice(step, row, disc);
    this.seeds.push(seedOf(step, row, 'open', choice));
    if (step.type === 'loop') this.seedPasses(step, path, Number(disc.slice(1)));
    if (step.type === 'parallel') this.seedBranches(step, path, Number(disc.slice(1)));
    if (step.type === 'try') this.seedStages(step, path, disc);
  }

  private openChoice(step: PlanStep, row: RecordedStep, disc: string): Json {
    const choice = asObject(row.choice);
    const elsewhere = (): never => refuse('not_recorded', `Step ${step.id} did not go to ${disc}`, step.id, row.iterationPath);
    switch (step.type) {
      case 'conditional':
      case 'switch':
        return choice['slot'] === disc ? row.choice : elsewhere();
      case 'loop': {
        const pass = Number(disc.slice(1));
        const count = choice['count'];
        if (!disc.startsWith('i') || (typeof count === 'number' && pass >= count)) elsewhere();
        return { list: choice['list'] ?? null, count: count ?? null, passes: pass + 1 };
      }
      case 'parallel':
      case 'try':
        return null;
      case 'agent_prompt':
      case 'tool':
      case 'bash':
      case 'notify':
      case 'approval':
      case 'set':
      case 'wait':
      case 'wait_for_event':
      case 'subworkflow':
      case 'stop':
        return elsewhere();
    }
  }

  /** One after the other: all earlier passes have ended. At once: those that have. */
  private seedPasses(step: LoopPlan, path: string, pass: number): void {
    const isConcurrent = step.concurrency > 1 && step.while === undefined;
    for (let index = 0; index < pass; index += 1) {
      const end = this.endOf(step.steps, innerPath(path, step.id, `i${index}`));
      if (end === 'completed' || (end === 'failed' && step.onItemError === 'continue'))
        this.seedBlock(step.steps, innerPath(path, step.id, `i${index}`));
      else if (!isConcurrent) refuse('not_recorded', `Pass ${index} of loop ${step.id} did not end`, step.id, path);
    }
  }

  /** Finished siblings are taken over; unfinished ones, and those whose failure would end the step at once, run again. */
  private seedBranches(step: ParallelPlan, path: string, branch: number): void {
    step.branches.forEach(({ steps }, index) => {
      if (index === branch) return;
      const inner = innerPath(path, step.id, `b${index}`);
      const end = this.endOf(steps, inner);
      if (end === 'completed' || (end === 'failed' && step.wait === 'all' && step.onBranchError === 'continue'))
        this.seedBlock(steps, inner);
    });
  }

  private seedStages(step: TryPlan, path: string, disc: string): void {
    if (disc === 'try') return;
    const body = innerPath(path, step.id, 'try');
    const failure = this.failureOf(step.steps, body);
    if (failure === undefined && this.endOf(step.steps, body) !== 'completed')
      refuse('not_recorded', `The body of ${step.id} has no recorded end`, step.id, path);
    const handler = failure === undefined ? -1 : step.catch.findIndex(({ codes }) => matchesCode(codes, failure.code));
    this.seedBlock(step.steps, body);
    if (disc !== 'finally') {
      if (disc !== `catch${handler}`) refuse('not_recorded', `Step ${step.id} did not go to ${disc}`, step.id, path);
      return;
    }
    const caught = step.catch[handler];
    if (caught === undefined) return;
    const inner = innerPath(path, step.id, `catch${handler}`);
    if (this.endOf(caught.steps, inner) === undefined)
      refuse('not_recorded', `The handler of ${step.id} has no recorded end`, step.id, path);
    this.seedBlock(caught.steps, inner);
  }

  /** How a block ended, by the rows of its steps; undefined when it did not. */
  private endOf(block: Block, path: string): 'completed' | 'failed' | undefined {
    for (const step of block) {
      const row = this.rows.get(rowKey(path, step.id));
      if (row === undefined || !ENDED.has(row.status) || row.stepType !== step.type) return undefined;
      if (row.status === 'failed' && step.onError === 'fail') return 'failed';
    }
    return 'completed';
  }

  private failureOf(block: Block, path: string): StepError | undefined {
    if (this.endOf(block, path) !== 'failed') return undefined;
    const step = block.find(({ id, onError }) => onError === 'fail' && this.rows.get(rowKey(path, id))?.status === 'failed');
    return step === undefined ? undefined : (this.rows.get(rowKey(path, step.id))?.error ?? undefined);
  }

  /** Seeds a block up to the step that failed it. */
  private seedBlock(block: Block, path: string): void {
    for (const step of block) {
      const row = this.recorded(step, path);
      this.seedDone(step, row);
      if (row.status === 'failed' && step.onError === 'fail') return;
    }
  }
}

function seedOf(step: Pick<PlanStep, 'type'>, row: RecordedStep, how: Seed['how'], choice: Json): Seed {
  const status = row.status === 'completed' || row.status === 'skipped' ? row.status : 'failed';
  return {
    stepId: row.stepId,
    iterationPath: row.iterationPath,
    attempt: row.attempt,
    stepType: step.type,
    status,
    how,
    output: row.output ?? NULL_VALUE,
    error: row.error,
    choice,
  };
}

const asObject = (json: Json): { readonly [key: string]: Json } =>
  typeof json === 'object' && json !== null && !Array.isArray(json) ? (json as { readonly [key: string]: Json }) : {};
