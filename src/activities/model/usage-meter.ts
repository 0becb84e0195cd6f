import type { TokenUsage } from '../../engine/types.js';

/** Tokens of one model call. Input counts cache writes (durability §14). `estimated`: it was cut off. */
export interface CallUsage {
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly cacheReadTokens: number;
  readonly estimated?: true;
}

/** Tokens of all calls of a step, failed ones included. */
export class UsageMeter {
  private input = 0;
  private output = 0;
  private cacheRead = 0;
  private isEstimated = false;
  private readonly models = new Set<string>();

  add(model: string, usage: CallUsage): void {
    this.input += usage.inputTokens;
    this.output += usage.outputTokens;
    this.cacheRead += usage.cacheReadTokens;
    this.isEstimated ||= usage.estimated === true;
    this.models.add(model);
  }

  /** Undefined while nothing was used. */
  get total(): TokenUsage | undefined {
    if (this.models.size === 0) return undefined;
    return {
      inputTokens: this.input,
      outputTokens: this.output,
      cacheReadTokens: this.cacheRead,
      models: [...this.models],
      ...(this.isEstimated ? { estimated: true as const } : {}),
    };
  }
}
