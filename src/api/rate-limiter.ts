/** A bucket of tokens for each caller, in this process: bursts up to a minute's worth, refilled steadily. */

interface Bucket {
  tokens: number;
  atMs: number;
}

const SWEEP_ABOVE = 10_000;

export class RateLimiter {
  private readonly buckets = new Map<string, Bucket>();

  /** @param perMinute 0: no limit */
  constructor(
    private readonly perMinute: number,
    private readonly now: () => number = Date.now,
  ) {}

  /** Takes one token. @returns 0, or after how many ms there will be one */
  take(caller: string): number {
    if (this.perMinute === 0) return 0;
    const bucket = this.refilled(caller);
    if (bucket.tokens < 1) return Math.ceil(((1 - bucket.tokens) * 60_000) / this.perMinute);
    bucket.tokens -= 1;
    return 0;
  }

  /** Puts a token back that was taken for nothing. */
  giveBack(caller: string): void {
    const bucket = this.buckets.get(caller);
    if (bucket !== undefined) bucket.tokens = Math.min(this.perMinute, bucket.tokens + 1);
  }

  private refilled(caller: string): Bucket {
    const now = this.now();
    const bucket = this.buckets.get(caller) ?? this.open(caller, now);
    const gained = ((now - bucket.atMs) * this.perMinute) / 60_000;
    bucket.tokens = Math.min(this.perMinute, bucket.tokens + Math.max(0, gained));
    bucket.atMs = now;
    return bucket;
  }

  private open(caller: string, now: number): Bucket {
    if (this.buckets.size >= SWEEP_ABOVE) this.sweep(now);
    const bucket = { tokens: this.perMinute, atMs: now };
    this.buckets.set(caller, bucket);
    return bucket;
  }

  /** A bucket untouched for a minute is full, which is what a new one is. */
  private sweep(now: number): void {
    for (const [caller, bucket] of this.buckets) if (now - bucket.atMs >= 60_000) this.buckets.delete(caller);
  }
}
