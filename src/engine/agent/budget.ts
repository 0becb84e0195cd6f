/** Token budgets (durability §14): reservations before a call, real usage after it. Pure. */
import type { TokenUsage } from '../types.js';
import type { AgentBudget } from './types.js';

/** The most that one reply may be asked for. */
export const MAX_REPLY_TOKENS = 16_000;
/** With fewer left for the reply, a call is not made. */
const LEAST_REPLY_TOKENS = 64;
const CHARACTERS_PER_TOKEN = 3;

export type Reservation =
  | { readonly kind: 'granted'; readonly maxTokens: number; readonly reserved: number }
  /** Others have set tokens aside that they may not need. */
  | { readonly kind: 'later' }
  | { readonly kind: 'exceeded'; readonly needed: number };

/** What a call with a request of that many characters may take: estimated input and the reply, clamped to what is left. */
export function reserve(characters: number, { left, mayGrow }: AgentBudget): Reservation {
  const input = Math.ceil(characters / CHARACTERS_PER_TOKEN);
  const maxTokens = left === null ? MAX_REPLY_TOKENS : Math.min(MAX_REPLY_TOKENS, left - input);
  if (maxTokens >= LEAST_REPLY_TOKENS) return { kind: 'granted', maxTokens, reserved: input + maxTokens };
  return mayGrow ? { kind: 'later' } : { kind: 'exceeded', needed: input + LEAST_REPLY_TOKENS };
}

/** Tokens that count to budgets: input with cache writes, and output. */
export const countedTokens = ({ inputTokens, outputTokens }: TokenUsage): number => inputTokens + outputTokens;

export const NO_USAGE: TokenUsage = { inputTokens: 0, outputTokens: 0, cacheReadTokens: 0, models: [] };

export function plusUsage(a: TokenUsage, b: TokenUsage): TokenUsage {
  return {
    inputTokens: a.inputTokens + b.inputTokens,
    outputTokens: a.outputTokens + b.outputTokens,
    cacheReadTokens: a.cacheReadTokens + b.cacheReadTokens,
    models: [...new Set([...a.models, ...b.models])],
    ...(a.estimated === true || b.estimated === true ? { estimated: true as const } : {}),
  };
}
