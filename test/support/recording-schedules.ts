import type { Overlap, ScheduleAnswer, ScheduleGateway, ScheduleRequest, ScheduleState } from '../../src/operations/schedule-gateway.js';

/** Schedules that are only remembered: nothing ever fires. */
export class RecordingSchedules implements ScheduleGateway {
  readonly requests = new Map<string, ScheduleRequest>();
  readonly paused = new Map<string, boolean>();
  readonly backfills: { readonly id: string; readonly fromMs: number; readonly toMs: number; readonly overlap: Overlap }[] = [];
  /** Counters that the next look sees. */
  counters: Pick<ScheduleState, 'skippedOverlap' | 'missedCatchup'> = { skippedOverlap: 0, missedCatchup: 0 };
  matching: readonly string[] = [];
  /** Executions that a Schedule has terminated for its next run. */
  readonly replaced = new Set<string>();
  isAway = false;

  async put(request: ScheduleRequest): Promise<ScheduleAnswer<'created' | 'updated'>> {
    if (this.isAway) return AWAY;
    const isNew = !this.requests.has(request.id);
    this.requests.set(request.id, request);
    if (isNew) this.paused.set(request.id, request.paused);
    return { kind: 'done', value: isNew ? 'created' : 'updated' };
  }
  remove = (id: string): Promise<ScheduleAnswer<null>> =>
    this.on(id, () => {
      this.requests.delete(id);
      return null;
    });
  describe = (id: string): Promise<ScheduleAnswer<ScheduleState>> =>
    this.on(id, () => ({
      paused: this.paused.get(id) ?? false,
      createdAt: '2026-01-01T00:00:00.000Z',
      next: this.matching.slice(0, 10),
      started: [],
      made: JSON.stringify(this.requests.get(id)),
      ...this.counters,
    }));
  setPaused = (id: string, paused: boolean): Promise<ScheduleAnswer<null>> =>
    this.on(id, () => {
      this.paused.set(id, paused);
      return null;
    });
  backfill = (id: string, range: { fromMs: number; toMs: number; overlap: Overlap }): Promise<ScheduleAnswer<null>> =>
    this.on(id, () => {
      this.backfills.push({ id, ...range });
      return null;
    });
  times = (id: string): Promise<ScheduleAnswer<readonly string[]>> => this.on(id, () => this.matching);
  async list(): Promise<ScheduleAnswer<readonly string[]>> {
    return this.isAway ? AWAY : { kind: 'done', value: [...this.requests.keys()] };
  }

  hasReplaced = (id: string, executionId: string): Promise<ScheduleAnswer<boolean>> => this.on(id, () => this.replaced.has(executionId));

  private async on<T>(id: string, work: () => T): Promise<ScheduleAnswer<T>> {
    if (this.isAway) return AWAY;
    return this.requests.has(id) ? { kind: 'done', value: work() } : { kind: 'unknown' };
  }
}

const AWAY = { kind: 'unavailable', error: new Error('away') } as const;
