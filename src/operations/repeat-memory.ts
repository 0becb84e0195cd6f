/**
 * What this process has repeated lately. While no worker is up nothing is confirmed, and a signal every pass would only fill the
 * history: each repeat waits twice as long as the one before, up to ten minutes. A restart forgets, which costs one repeat.
 */
export class RepeatMemory {
  private readonly tried = new Map<string, { readonly nextMs: number; readonly waitMs: number }>();

  constructor(
    private readonly now: () => number = Date.now,
    private readonly firstWaitMs = 10_000,
    private readonly longestWaitMs = 600_000,
  ) {}

  /** Whether it is its turn; if so, it counts as tried from here on. */
  isDue(id: string): boolean {
    const before = this.tried.get(id);
    if (before !== undefined && before.nextMs > this.now()) return false;
    const waitMs = before === undefined ? this.firstWaitMs : Math.min(before.waitMs * 2, this.longestWaitMs);
    this.tried.set(id, { nextMs: this.now() + waitMs, waitMs });
    return true;
  }

  /** It reached nobody: it is due again at once. */
  forget(id: string): void {
    this.tried.delete(id);
  }

  /** Drops what has not come again long after its turn: it is done with. */
  forgetOld(): void {
    for (const [id, { nextMs }] of this.tried) if (nextMs + this.longestWaitMs < this.now()) this.tried.delete(id);
  }
}
