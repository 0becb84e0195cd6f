/**
 * How many tools the segments of one process have at work, all together. Each activity has a slot of the worker's; its branches have not,
 * and thousands of them at once would keep the process from its heartbeats.
 */
export class CallSlots {
  private readonly waiting = new Set<() => void>();
  private free: number;

  constructor(size: number) {
    this.free = size;
  }

  /** Runs the work in a slot, those that came first at first. An abort ends the waiting, and the work is run to see it. */
  async run<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    const hasSlot = await this.take(signal);
    try {
      return await work();
    } finally {
      if (hasSlot) this.leave();
    }
  }

  private async take(signal: AbortSignal): Promise<boolean> {
    if (signal.aborted) return false;
    if (this.free > 0) {
      this.free -= 1;
      return true;
    }
    return await new Promise<boolean>((resolve) => {
      const settle = (hasSlot: boolean) => (): void => {
        this.waiting.delete(grant);
        signal.removeEventListener('abort', giveUp);
        resolve(hasSlot);
      };
      const grant = settle(true);
      const giveUp = settle(false);
      this.waiting.add(grant);
      signal.addEventListener('abort', giveUp, { once: true });
    });
  }

  /** The slot goes from hand to hand. */
  private leave(): void {
    const [next] = this.waiting;
    if (next === undefined) this.free += 1;
    else next();
  }
}
