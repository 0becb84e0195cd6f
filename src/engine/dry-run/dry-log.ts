/** The timeline of a dry run: events in order, and the step rows that they project to, in the shapes of the HTTP API. */
import {
  compareIterationPaths,
  formatInstant,
  type Json,
  type Plan,
  type StepType,
  toDisplay,
  type Value,
} from '../../definition/runtime.js';
import { asJson } from '../faults.js';
import { stepsById } from '../plan-index.js';
import { instanceId } from '../run.js';
import type { EngineEvent, EventKind, StepError, StepInstance, Warning } from '../types.js';

export interface DryEvent {
  readonly seq: number;
  readonly executionId: string;
  readonly kind: EventKind;
  readonly stepId?: string;
  readonly iterationPath?: string;
  readonly attempt?: number;
  readonly at: string;
  readonly data: { readonly [key: string]: Json };
}

export interface DryStep {
  readonly stepId: string;
  readonly name: string | null;
  readonly type: StepType;
  readonly iterationPath: string;
  readonly attempt: number;
  status: string;
  input: Json;
  output: Json;
  error: StepError | null;
  warnings: Warning[];
  startedAt: string | null;
  completedAt: string | null;
  durationMs: number | null;
}

/** How an attempt of a step ended, for those that an activity would have recorded. */
export interface DryEnd {
  readonly status: 'completed' | 'failed' | 'cancelled';
  readonly output?: Value;
  readonly error?: StepError;
  readonly warnings?: readonly Warning[];
}

const STATUS: { readonly [K in EventKind]?: string } = {
  'step.started': 'running',
  'step.waiting': 'waiting_event',
  'step.completed': 'completed',
  'step.failed': 'failed',
  'step.skipped': 'skipped',
  'step.cancelled': 'cancelled',
};

/** The engine does not know an agent's prompt: its activity has recorded it. */
function withInput(row: DryStep, kind: EventKind, data: { readonly [key: string]: Json }): { readonly [key: string]: Json } {
  const isEnd = kind === 'step.completed' || kind === 'step.failed';
  return isEnd && row.type === 'agent_prompt' ? { input: row.input, ...data } : data;
}

export class DryLog {
  readonly events: DryEvent[] = [];
  private readonly rows = new Map<string, DryStep>();

  constructor(
    private readonly plan: Plan,
    private readonly executionId: string,
  ) {}

  /** A fact about the run as a whole. */
  tell(kind: EventKind, atMs: number, data: { readonly [key: string]: Json } = {}): void {
    this.events.push({ seq: this.events.length + 1, executionId: this.executionId, kind, at: formatInstant(atMs), data });
  }

  /** An event of the engine. */
  add({ kind, instance, at, data, record }: EngineEvent): void {
    if (instance === null) return this.tell(kind, at, data);
    const row = this.row(instance);
    this.tellStep(kind, instance, at, withInput(row, kind, data));
    this.move(row, kind, at);
    if (record?.input !== undefined) row.input = toDisplay(record.input);
    if (record?.output !== undefined) row.output = toDisplay(record.output);
    if (record?.error !== undefined) row.error = record.error;
    row.warnings.push(...(record?.warnings ?? []));
  }

  started(instance: StepInstance, atMs: number, input: Json): void {
    this.tellStep('step.started', instance, atMs, { input });
    const row = this.row(instance);
    row.input = input;
    this.move(row, 'step.started', atMs);
  }

  ended(instance: StepInstance, atMs: number, { status, output, error, warnings = [] }: DryEnd): void {
    const row = this.row(instance);
    if (output !== undefined) row.output = toDisplay(output);
    if (error !== undefined) row.error = error;
    row.warnings.push(...warnings);
    const data = {
      input: row.input,
      ...(output === undefined ? {} : { output: row.output }),
      ...(error === undefined ? {} : { error: asJson(error) }),
    };
    this.tellStep(`step.${status}`, instance, atMs, status === 'cancelled' ? {} : data);
    this.move(row, `step.${status}`, atMs);
  }

  warn(instance: StepInstance, warning: Warning): void {
    this.row(instance).warnings.push(warning);
  }

  /** In definition order, then by iteration path, then by attempt. */
  steps(): DryStep[] {
    const order = new Map([...stepsById(this.plan).keys()].map((id, index) => [id, index]));
    const placeOf = (stepId: string): number => order.get(stepId) ?? 0;
    return [...this.rows.values()].toSorted(
      (a, b) => placeOf(a.stepId) - placeOf(b.stepId) || compareIterationPaths(a.iterationPath, b.iterationPath) || a.attempt - b.attempt,
    );
  }

  private tellStep(
    kind: EventKind,
    { stepId, iterationPath, attempt }: StepInstance,
    atMs: number,
    data: { readonly [key: string]: Json },
  ): void {
    this.events.push({
      seq: this.events.length + 1,
      executionId: this.executionId,
      kind,
      stepId,
      iterationPath,
      attempt,
      at: formatInstant(atMs),
      data,
    });
  }

  private row(instance: StepInstance): DryStep {
    const key = instanceId(instance);
    const known = this.rows.get(key);
    if (known !== undefined) return known;
    const step = stepsById(this.plan).get(instance.stepId);
    const row: DryStep = {
      ...instance,
      name: step?.name ?? null,
      type: step?.type ?? 'set',
      status: 'pending',
      input: null,
      output: null,
      error: null,
      warnings: [],
      startedAt: null,
      completedAt: null,
      durationMs: null,
    };
    this.rows.set(key, row);
    return row;
  }

  private move(row: DryStep, kind: EventKind, atMs: number): void {
    const status = STATUS[kind];
    if (status === undefined) return;
    row.status = status;
    if (kind === 'step.started') row.startedAt ??= formatInstant(atMs);
    if (status === 'running' || status === 'waiting_event') return;
    row.completedAt = formatInstant(atMs);
    if (row.startedAt !== null) row.durationMs = atMs - Date.parse(row.startedAt);
  }
}
