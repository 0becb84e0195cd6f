import { log } from '@temporalio/workflow';
import type { ApproveSignal } from '../activities/contract.js';
import type { GateOutcome } from '../engine/types.js';

/**
 * `approve` signals that wait to be looked at, and the gates they may be for. While an opening is in flight, a signal for a gate that is
 * not known is kept: it may be for the one that opens (durability §10).
 */
export class GateSignals {
  private waiting: ApproveSignal[] = [];
  /** Ids of gates whose opening has answered and that are not settled yet. */
  private readonly open: Set<string>;

  constructor(open: readonly string[] = []) {
    this.open = new Set(open);
  }

  get openGates(): string[] {
    return [...this.open];
  }

  get areWaiting(): boolean {
    return this.waiting.length > 0;
  }

  push(signal: ApproveSignal): void {
    this.waiting.push(signal);
  }

  note({ approvalId, status }: GateOutcome): void {
    if (status === 'pending') this.open.add(approvalId);
    else this.open.delete(approvalId);
  }

  hasWork(isOpening: boolean): boolean {
    return isOpening ? this.waiting.some((signal) => this.isForOpen(signal)) : this.areWaiting;
  }

  /** Those whose gates' rows are to be read now. Those for no gate are dropped, unless one is being opened. */
  take(isOpening: boolean): readonly ApproveSignal[] {
    const ready = this.waiting.filter((signal) => this.isForOpen(signal));
    const unknown = this.waiting.filter((signal) => !this.isForOpen(signal));
    this.waiting = isOpening ? unknown : [];
    if (!isOpening && unknown.length > 0)
      log.info('approve signal for a gate that is not open is ignored', { approvalIds: unknown.map(({ approvalId }) => approvalId) });
    return ready;
  }

  private isForOpen({ approvalId }: ApproveSignal): boolean {
    return this.open.has(approvalId);
  }
}
