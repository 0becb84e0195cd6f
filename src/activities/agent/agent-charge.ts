import type { TokenUsage } from '../../engine/types.js';
import { type CallUsage, UsageMeter } from '../model/usage-meter.js';

/** What a model call costs: its own tokens as they are announced, and those of earlier tries that were cut off. */
export interface AgentCharge {
  add(model: string, usage: CallUsage): void;
  /** The tokens of the call so far: the last word stands. */
  set(usage: CallUsage): void;
  readonly ofCall: CallUsage;
  readonly total: TokenUsage;
}

const NOTHING: CallUsage = { inputTokens: 0, outputTokens: 0, cacheReadTokens: 0 };

export function chargedTo(model: string): AgentCharge {
  const earlier = new UsageMeter();
  let own: CallUsage | undefined;
  return {
    add: (by, usage) => earlier.add(by, usage),
    set: (usage) => void (own = usage),
    get ofCall() {
      return own ?? NOTHING;
    },
    get total() {
      const all = new UsageMeter();
      if (earlier.total !== undefined) for (const name of earlier.total.models) all.add(name, NOTHING);
      if (earlier.total !== undefined) all.add(earlier.total.models[0] ?? model, earlier.total);
      if (own !== undefined) all.add(model, own);
      return all.total ?? { ...NOTHING, models: [] };
    },
  };
}
