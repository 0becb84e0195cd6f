import { workflowInfo } from '@temporalio/workflow';

/** Hand-over is due at these sizes of the history (durability §8), or when the server suggests it. */
const EVENTS = 1_000;
const BYTES = 2 * 1024 * 1024;
/** A run begins with its plan and state in its history: it may grow by this much, however large they are. */
const GROWTH_BYTES = 1024 * 1024;
/** Above this, issuing stops for a hand-over whatever is in flight. */
const FORCED_EVENTS = 20_000;

/** How much of the history one run of the workflow may use before it hands over. */
export class HistoryBudget {
  private readonly mostBytes = Math.max(BYTES, workflowInfo().historySize + GROWTH_BYTES);

  isUsedUp(): boolean {
    const { historyLength, historySize, continueAsNewSuggested } = workflowInfo();
    return continueAsNewSuggested || historyLength > EVENTS || historySize > this.mostBytes;
  }

  isFarOver(): boolean {
    return workflowInfo().historyLength > FORCED_EVENTS;
  }
}
