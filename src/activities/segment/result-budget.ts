import { jsonBytes, LARGE_VALUE_BYTES } from '../../definition/json-size.js';
import type { Json } from '../../definition/value.js';
import type { ActivityResult, StepAnswer } from '../../engine/types.js';

/** A segment that has returned this much starts nothing more. */
const HALT_BYTES = 256 * 1024;
/** What was in flight ends all the same: from here on it says little, as all results are one payload of at most 2 MB. */
const CRAMPED_BYTES = 1024 * 1024;
const CRAMPED_VALUE_BYTES = 1_024;
const CRAMPED_MESSAGE = 500;

/** How much the results of one segment hold inline. */
export class ResultBudget {
  private bytes = 0;

  add(result: ActivityResult): void {
    this.bytes += jsonBytes(result as unknown as Json);
  }

  get isUsedUp(): boolean {
    return this.bytes > HALT_BYTES;
  }

  /** A value whose JSON is larger is stored, in bytes. */
  get limitBytes(): number {
    return this.isCramped ? CRAMPED_VALUE_BYTES : LARGE_VALUE_BYTES;
  }

  /** The answer without what can be left out, once there is little room. Its step's row and event keep the whole. */
  fit(answer: StepAnswer): StepAnswer {
    if (!this.isCramped || answer.ended === 'cancelled' || jsonBytes(answer as unknown as Json) <= 2 * CRAMPED_VALUE_BYTES) return answer;
    if (answer.ended === 'completed') {
      const { warnings: _warnings, ...rest } = answer;
      return rest;
    }
    const { details: _details, ...error } = answer.error;
    return { ...answer, error: { ...error, message: error.message.slice(0, CRAMPED_MESSAGE) } };
  }

  private get isCramped(): boolean {
    return this.bytes > CRAMPED_BYTES;
  }
}
