import type { OperationDeps } from './deps.js';
import { closeForgotten, closeReported, closeStrayTurns, expireGates, repeatCommands, startPending } from './reconcile.js';
import { RepeatMemory } from './repeat-memory.js';
import { cancelOrphans } from './report-child.js';
import { dropOldDeliveries, keepSchedules } from './triggers/reconcile-schedules.js';

/** Looking at what Temporal holds costs it calls: less often than the rest. */
const LIVENESS_EVERY_MS = 60_000;
/** Ticks that a Schedule skipped are told after at most this. */
const SCHEDULES_EVERY_MS = 15_000;
const CLEAN_UP_EVERY_MS = 3_600_000;

export interface Reconciler {
  /** One pass over everything that is due; a second one while it runs is the same pass. */
  pass(): Promise<void>;
  /** Stops after the pass under way. */
  stop(): Promise<void>;
}

export interface ReconcilerOptions {
  readonly livenessEveryMs?: number;
  readonly schedulesEveryMs?: number;
}

/**
 * Repairs again and again until stopped; a part that fails (PostgreSQL or Temporal away) is logged and comes again with the next pass.
 * Run it in every gateway and every worker of runs.
 */
export function startReconciler(deps: OperationDeps, intervalMs = 3_000, options: ReconcilerOptions = {}): Reconciler {
  return new PeriodicReconciler(deps, intervalMs, options);
}

class PeriodicReconciler implements Reconciler {
  private readonly memory = new RepeatMemory();
  private timer: NodeJS.Timeout | undefined;
  private running: Promise<void> | undefined;
  private lookedAtMs = Date.now();
  private nextLookMs = 0;
  private nextSchedulesMs = 0;
  private nextCleanUpMs = 0;
  private hasStopped = false;

  constructor(
    private readonly deps: OperationDeps,
    private readonly intervalMs: number,
    private readonly options: ReconcilerOptions,
  ) {
    // The first one at once: this process may be what everything has waited for.
    this.schedule(0);
  }

  pass(): Promise<void> {
    this.running ??= this.run().finally(() => {
      this.running = undefined;
    });
    return this.running;
  }

  async stop(): Promise<void> {
    this.hasStopped = true;
    clearTimeout(this.timer);
    await this.running;
  }

  private schedule(delayMs = this.intervalMs): void {
    if (this.hasStopped) return;
    this.timer = setTimeout(() => {
      void this.pass().finally(() => this.schedule());
    }, delayMs);
    this.timer.unref();
  }

  private async run(): Promise<void> {
    await this.attempt('start pending executions', () => startPending(this.deps, this.memory));
    await this.attempt('repeat commands', () => repeatCommands(this.deps, this.memory));
    await this.attempt('expire gates', () => expireGates(this.deps));
    await this.lookAtTemporal();
    await this.attempt('cancel orphans', () => cancelOrphans(this.deps));
    await this.attempt('close stray turns', () => closeStrayTurns(this.deps));
    await this.lookAtTriggers();
    this.memory.forgetOld();
  }

  private async lookAtTemporal(): Promise<void> {
    if (Date.now() < this.nextLookMs) return;
    this.nextLookMs = Date.now() + (this.options.livenessEveryMs ?? LIVENESS_EVERY_MS);
    await this.attempt('close what was terminated', () => this.closeReported());
    await this.attempt('close what is lost', () => closeForgotten(this.deps));
  }

  private async lookAtTriggers(): Promise<void> {
    if (Date.now() >= this.nextSchedulesMs) {
      this.nextSchedulesMs = Date.now() + (this.options.schedulesEveryMs ?? SCHEDULES_EVERY_MS);
      await this.attempt('make schedules agree', () => keepSchedules(this.deps));
    }
    if (Date.now() < this.nextCleanUpMs) return;
    this.nextCleanUpMs = Date.now() + CLEAN_UP_EVERY_MS;
    await this.attempt('delete old deliveries', () => dropOldDeliveries(this.deps));
  }

  private async closeReported(): Promise<void> {
    const now = Date.now();
    // While Temporal is away the window stays open, so that nothing that closed meanwhile is missed.
    if (await closeReported(this.deps, this.lookedAtMs)) this.lookedAtMs = now;
  }

  private async attempt(what: string, work: () => Promise<unknown>): Promise<void> {
    if (this.hasStopped) return;
    try {
      await work();
    } catch (error) {
      this.deps.log.warn(
        { error: error instanceof Error ? error.message : String(error) },
        `The reconciler could not ${what}; it tries again`,
      );
    }
  }
}
