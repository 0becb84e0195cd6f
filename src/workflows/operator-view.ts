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

/** The top-level steps with their states, as Markdown. Shown at each wake of the workflow, so what does not change is put together once. */
export class Details {
  private readonly steps: readonly string[];
  private readonly more: string;
  private shown = '';

  constructor(private readonly plan: Plan) {
    this.steps = plan.steps.slice(0, DETAIL_STEPS).map(({ id, name, type }) => `- ${name ?? id} (${type}): `);
    this.more = plan.steps.length > DETAIL_STEPS ? `- … ${plan.steps.length - DETAIL_STEPS} more` : '';
  }

  show({ status, progress: { done, total, current } }: Projection): void {
    const now = current.join(', ');
    const state = `${status} ${done} ${now}`;
    if (state === this.shown) return;
    this.shown = state;
    let lines = '';
    for (const [index, step] of this.steps.entries()) lines += `${step}${index < done ? 'done' : index === done ? status : 'to come'}\n`;
    const { name, version } = this.plan;
    setCurrentDetails(`**${name}** ${version}: ${status}, ${done}/${total}\n\n${lines}${this.more}${now === '' ? '' : `\n\nNow: ${now}`}`);
  }
}
