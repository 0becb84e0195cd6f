import type { TokenUsage } from '../engine/types.js';

/** The sum of usages; each model once, in order of first use; estimated where one is. Pure. */
export function addUsage(usages: readonly TokenUsage[]): TokenUsage {
  const models = new Set(usages.flatMap((usage) => usage.models));
  const sum = (field: 'inputTokens' | 'outputTokens' | 'cacheReadTokens') => usages.reduce((total, usage) => total + usage[field], 0);
  return {
    inputTokens: sum('inputTokens'),
    outputTokens: sum('outputTokens'),
    cacheReadTokens: sum('cacheReadTokens'),
    models: [...models],
    ...(usages.some(({ estimated }) => estimated === true) ? { estimated: true as const } : {}),
  };
}
