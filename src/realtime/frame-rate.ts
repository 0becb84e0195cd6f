/** How many frames one socket may send: a burst, refilled steadily. */
export class FrameRate {
  private tokens: number;
  private atMs: number;

  constructor(
    private readonly burst: number,
    private readonly perSecond: number,
    private readonly now: () => number = Date.now,
  ) {
    this.tokens = burst;
    this.atMs = now();
  }

  /** Takes one. @returns false when there is none */
  take(): boolean {
    const now = this.now();
    this.tokens = Math.min(this.burst, this.tokens + (Math.max(0, now - this.atMs) * this.perSecond) / 1_000);
    this.atMs = now;
    if (this.tokens < 1) return false;
    this.tokens -= 1;
    return true;
  }
}
