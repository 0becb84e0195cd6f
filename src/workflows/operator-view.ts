/** What operators see of a run in Temporal's UI and CLI. Costs no history beyond one upsert per real change of status. */
import { defineSearchAttributeKey, SearchAttributeType, type SearchAttributePair } from '@temporalio/common';
import { setCurrentDetails, upsertSearchAttributes } from '@temporalio/workflow';
import type { Plan } from '../definition/plan.js';
import type { ExecutionStatus, Projection } from '../engine/types.js';
import { SEARCH_ATTRIBUTES } from './messages.js';

const statusKey = defineSearchAttributeKey(SEARCH_ATTRIBUTES.status, SearchAttributeType.KEYWORD);
const workflowKey = defineSearchAttributeKey(SEARCH_ATTRIBUTES.workflow, SearchAttributeType.KEYWORD);
const ownerKey = defineSearchAttributeKey(SEARCH_ATTRIBUTES.owner, SearchAttributeType.KEYWORD);
const triggerKey = defineSearchAttributeKey(SEARCH_ATTRIBUTES.trigger, SearchAttributeType.KEYWORD);

export function childSearchAttributes(ownerId: string, workflowName: string | undefined): SearchAttributePair[] {
  return [
    ...(workflowName === undefined ? [] : [{ key: workflowKey, value: workflowName }]),
    { key: ownerKey, value: ownerId },
    { key: triggerKey, value: 'subworkflow' },
    { key: statusKey, value: 'running' },
  ];
}

/** The attribute SignalboxStatus. Started as `running`, so a run that never waits upserts nothing (design §13). */
export class StatusAttribute {
  /** @param shown what an earlier run of this execution upserted; null: nothing */
  constructor(public shown: string | null) {}

  show(status: ExecutionStatus): void {
    if (status === (this.shown ?? 'running') || status === 'pending') return;
    this.upsert(status);
  }

  showEnd(status: ExecutionStatus): void {
    if (this.shown !== null) this.upsert(status);
  }

  private upsert(status: ExecutionStatus): void {
    this.shown = status;
    upsertSearchAttributes([{ key: statusKey, value: status }]);
  }
}

const DETAIL_STEPS = 60;

/** The top-level steps with their states, as Markdown. */
export function showDetails(plan: Plan, { status, progress }: Projection): void {
  const lines = plan.steps.slice(0, DETAIL_STEPS).map((step, index) => {
    const mark = index < progress.done ? 'done' : index === progress.done ? status : 'to come';
    return `- ${step.name ?? step.id} (${step.type}): ${mark}`;
  });
  const more = plan.steps.length > DETAIL_STEPS ? [`- … ${plan.steps.length - DETAIL_STEPS} more`] : [];
  const current = progress.current.length > 0 ? `\n\nNow: ${progress.current.join(', ')}` : '';
  setCurrentDetails(
    `**${plan.name}** ${plan.version}: ${status}, ${progress.done}/${progress.total}\n\n${[...lines, ...more].join('\n')}${current}`,
  );
}
