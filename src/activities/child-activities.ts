import type { SubworkflowPlan } from '../definition/plan.js';
import type { Json } from '../definition/value.js';
import { renderStepInput } from '../engine/step-input.js';
import type { ParentLink } from '../store/execution-record.js';
import type { CarryWriter } from './carry-writer.js';
import type { Common } from './contract.js';
import { FullScope } from './full-scope.js';
import type { RunFactsSource } from './run-facts.js';
import { redactingFaults, toActivityFailure } from './step-error.js';
import type { StepCallInput } from './step-call.js';

/** Starting and cancelling children: rows first, as for every start and cancel. */
export interface ChildOperations {
  /**
   * Inserts the child's row, pinned to a version, once for its parent's step instance.
   * @throws AppError subworkflow_not_found, definition_invalid, validation_failed; execution_ended when the parent is being cancelled
   */
  startChild(child: NewChild): Promise<{ readonly executionId: string; readonly workflowName: string }>;
  cancelChild(request: {
    readonly childId: string;
    readonly ownerId: string;
    readonly parentId: string;
    readonly reason: string;
  }): Promise<void>;
}
export interface NewChild {
  readonly ownerId: string;
  readonly parent: ParentLink;
  /** Id or slug of a workflow of the owner. */
  readonly workflow: string;
  /** Version or hash; null: the current one. */
  readonly version: string | null;
  readonly input: Json;
  /** Something in the input is kept out of histories. */
  readonly isPrivate: boolean;
  readonly depth: number;
}

/** Prepares a child for its start. Its faults are told by the engine, so nothing of the step is recorded here. May repeat. */
export function createPrepareChildActivity(parts: {
  readonly facts: RunFactsSource;
  readonly carry: CarryWriter;
  readonly children: ChildOperations;
}) {
  return async (
    input: StepCallInput & { readonly depth: number },
  ): Promise<{ readonly executionId: string; readonly at: number; readonly workflowName: string }> => {
    try {
      await parts.carry.write(input);
      const child = await toChild(parts.facts, input);
      const started = await parts.children.startChild(child);
      return { ...started, at: Math.max(Date.now(), input.nowMs) };
    } catch (error) {
      throw toActivityFailure(error, input.instance, input.nowMs);
    }
  };
}

async function toChild(source: RunFactsSource, input: StepCallInput & { readonly depth: number }): Promise<NewChild> {
  const { executionId, ownerId, instance, scope, nowMs, depth } = input;
  const facts = await source.of(input);
  const step = facts.step(instance.stepId) as SubworkflowPlan;
  const full = new FullScope(scope, nowMs, facts.getValue, facts.secrets);
  const rendered = (await redactingFaults(
    facts.redactor,
    instance,
    nowMs,
    async () => await full.plain(await full.run((reader) => renderStepInput(step, reader))),
  )) as { readonly input?: Json };
  // A child's variables are in its row and history: no secret may travel in them.
  const childInput = facts.redactor.json(rendered.input ?? {});
  return {
    ownerId,
    parent: { executionId, ...instance, awaited: step.await },
    workflow: step.workflow,
    version: step.version ?? null,
    input: childInput,
    isPrivate: full.isPrivate,
    depth,
  };
}

/** Passes a cancel down to a child, by its row. */
export function createCancelChildActivity(children: ChildOperations) {
  return async ({ childId, ownerId, executionId, reason }: Common & { readonly childId: string; readonly reason: string }): Promise<void> =>
    await children.cancelChild({ childId, ownerId, parentId: executionId, reason });
}
