import type { TokenUsage } from '../../engine/types.js';

/** Tokens of all calls of a step, failed ones included. Input counts cache writes (durability §14). */
export class UsageMeter {
  private input = 0;
  private output = 0;
  private cacheRead = 0;
  private readonly models = new Set<string>();

  add(model: string, tokens: { readonly input: number; readonly output: number; readonly cacheRead: number }): void {
    this.input += tokens.input;
    this.output += tokens.output;
    this.cacheRead += tokens.cacheRead;
    this.models.add(model);
  }

  /** Undefined while nothing was used. */
  get total(): TokenUsage | undefined {
    if (this.models.size === 0) return undefined;
    return { inputTokens: this.input, outputTokens: this.output, cacheReadTokens: this.cacheRead, models: [...this.models] };
  }
}
