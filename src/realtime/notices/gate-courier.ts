import { nudgeGates } from '../../operations/nudge-gates.js';
import { claimPosts, readAgenda, type PostRecord } from '../../store/gate-posts.js';
import { deliverPost, type NoticeParts } from './deliver-post.js';

export interface CourierOptions {
  /** How often to look without being told; 1,000 ms. */
  readonly sweepMs?: number;
}

/** Tellings under way at once: a Slack that stalls keeps nobody else from being told. */
const AT_ONCE = { slack: 10, others: 10 };
/** Looks are at least so far apart: whoever wakes it may do so at every commit. A nudge has its own hour, and waits less. */
const REST_MS = 100;
const NUDGE_REST_MS = 20;
const STOP_MS = 5_000;

/**
 * Does what gates have to say: reminds, escalates, posts, and rewrites what is posted. A reader of rows, one in every gateway: rows are
 * claimed by one at a time, and what a dead process held is free again after a minute. Nobody waits for it.
 */
export class GateCourier {
  private readonly underWay = { slack: new Set<Promise<void>>(), others: new Set<Promise<void>>() };
  private readonly sweepMs: number;
  private readonly sweep: NodeJS.Timeout;
  private nudge: NodeJS.Timeout | undefined;
  private soon: NodeJS.Timeout | undefined;
  private looking: Promise<void> | undefined;
  private isWoken = false;
  private hasStopped = false;
  private lookedAtMs = 0;
  private slackRestsUntilMs = 0;

  constructor(
    private readonly parts: NoticeParts,
    options: CourierOptions = {},
  ) {
    this.sweepMs = options.sweepMs ?? 1_000;
    this.sweep = setInterval(() => this.wake(), this.sweepMs);
    this.sweep.unref();
    this.wake();
  }

  /** Something may be due. */
  wake(): void {
    if (this.looking !== undefined) this.isWoken = true;
    if (this.hasStopped || this.looking !== undefined || this.soon !== undefined) return;
    const restMs = this.restMs(REST_MS);
    if (restMs <= 0) return this.begin();
    this.soon = setTimeout(() => {
      this.soon = undefined;
      this.begin();
    }, restMs);
    this.soon.unref();
  }

  /** Takes nothing new, and waits for what is under way, within bounds: the rest is another's after its claim. */
  async stop(): Promise<void> {
    this.hasStopped = true;
    clearInterval(this.sweep);
    clearTimeout(this.soon);
    clearTimeout(this.nudge);
    await this.looking;
    let limit: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      limit = setTimeout(resolve, STOP_MS);
    });
    await Promise.race([Promise.all([...this.underWay.slack, ...this.underWay.others]), late]);
    clearTimeout(limit);
  }

  private restMs(restMs: number): number {
    return this.lookedAtMs + restMs - Date.now();
  }

  private nudgeIn(delayMs: number): void {
    clearTimeout(this.nudge);
    this.nudge = setTimeout(() => this.lookForNudges(), Math.max(delayMs + 1, NUDGE_REST_MS));
    this.nudge.unref();
  }

  private lookForNudges(): void {
    if (this.hasStopped || this.looking !== undefined) return this.wake();
    if (this.restMs(NUDGE_REST_MS) > 0) return this.nudgeIn(0);
    clearTimeout(this.soon);
    this.soon = undefined;
    this.begin();
  }

  private begin(): void {
    this.isWoken = false;
    this.looking = this.look().finally(() => {
      this.looking = undefined;
      this.lookedAtMs = Date.now();
      if (this.isWoken) this.wake();
    });
  }

  private async look(): Promise<void> {
    try {
      const { postsDue, nudgeInMs } = await readAgenda(this.parts.db);
      if (nudgeInMs === 0 && (await nudgeGates(this.parts))) this.isWoken = true;
      // What falls due before the next sweep is not kept waiting for it.
      else if (nudgeInMs !== undefined && nudgeInMs < this.sweepMs) this.nudgeIn(nudgeInMs);
      if (!postsDue) return;
      await this.claim('others');
      if (Date.now() >= this.slackRestsUntilMs) await this.claim('slack');
    } catch (error) {
      this.parts.log.info({ error: String(error) }, 'Could not look for what gates have to say; the next look tries again');
    }
  }

  private async claim(whose: 'slack' | 'others'): Promise<void> {
    const room = AT_ONCE[whose] - this.underWay[whose].size;
    if (room > 0) for (const post of await claimPosts(this.parts.db, room, whose)) this.start(post, this.underWay[whose]);
  }

  private start(post: PostRecord, underWay: Set<Promise<void>>): void {
    const work = deliverPost(this.parts, post)
      .then(({ slackRestMs }) => {
        if (slackRestMs !== undefined) this.slackRestsUntilMs = Math.max(this.slackRestsUntilMs, Date.now() + slackRestMs);
      })
      .finally(() => {
        underWay.delete(work);
        this.wake();
      });
    underWay.add(work);
  }
}
