/**
 * What the operations ask of Temporal's Schedules, and its real implementation. A Schedule's id is its trigger's. As everywhere towards
 * Temporal, a server that is away is an answer, not an exception: the reconciler comes back to it.
 */
import { ScheduleAlreadyRunning, ScheduleNotFoundError, type Client, type ScheduleOptions, type ScheduleSpec } from '@temporalio/client';
import { temporal } from '@temporalio/proto';
import { hashOf } from '../definition/hash.js';
import type { Json } from '../definition/value.js';
import { EXECUTION_WORKFLOW, TASK_QUEUES, WORKFLOW_TASK_TIMEOUT } from '../workflows/messages.js';
import { toSearchAttributes, toSummary, type StartedAttributes } from './started-workflow.js';

export const OVERLAPS = ['skip', 'buffer_one', 'buffer_all', 'cancel_other', 'terminate_other', 'allow_all'] as const;
export type Overlap = (typeof OVERLAPS)[number];

/** Everything that a Schedule is made of. */
export interface ScheduleRequest {
  readonly id: string;
  /** Of what it starts; Temporal appends `-<nominal time>`. */
  readonly executionId: string;
  readonly cron: string;
  readonly timezone: string;
  /** Instants at which it fires besides. */
  readonly alsoAtMs: readonly number[];
  readonly overlap: Overlap;
  readonly catchupWindowMs: number;
  readonly jitterMs: number;
  readonly summary: string;
  readonly attributes: StartedAttributes;
  /** Only where it is made: one that is there keeps its own. */
  readonly paused: boolean;
}

export interface ScheduleState {
  readonly paused: boolean;
  readonly createdAt: string;
  /** Next starts, ten at most. */
  readonly next: readonly string[];
  /** Ticks that it did not start, since it was made. */
  readonly skippedOverlap: number;
  readonly missedCatchup: number;
  /** Nominal times of the last ten that it did start. */
  readonly started: readonly string[];
  /** Stands for everything that was asked for, as the server keeps it: another one after somebody has changed it there. */
  readonly made: string;
}

export type ScheduleAnswer<T> =
  | { readonly kind: 'done'; readonly value: T }
  | { readonly kind: 'unknown' }
  | { readonly kind: 'unavailable'; readonly error: Error };

export interface ScheduleGateway {
  /** Makes it, or changes the one that is there in place: pause state and counters stay. Never `unknown`. */
  put(request: ScheduleRequest): Promise<ScheduleAnswer<'created' | 'updated'>>;
  remove(id: string): Promise<ScheduleAnswer<null>>;
  describe(id: string): Promise<ScheduleAnswer<ScheduleState>>;
  setPaused(id: string, paused: boolean, note: string): Promise<ScheduleAnswer<null>>;
  /** Starts every tick of a stretch, both ends included. */
  backfill(id: string, range: { readonly fromMs: number; readonly toMs: number; readonly overlap: Overlap }): Promise<ScheduleAnswer<null>>;
  /** When it fires after `fromMs`, up to and with `toMs`: Temporal's own reckoning, its first 1,000. */
  times(id: string, fromMs: number, toMs: number): Promise<ScheduleAnswer<readonly string[]>>;
  /** Ids of all that start executions; eventually consistent. */
  list(): Promise<ScheduleAnswer<readonly string[]>>;
  /** Whether it has terminated this run of its own to make room for the next (`terminate_other`). */
  hasReplaced(id: string, executionId: string): Promise<ScheduleAnswer<boolean>>;
}

/** What the gateway lends: its client, and a call that is bound by a deadline and waited for when it closes. */
export interface ScheduleConnection {
  readonly client: Client;
  readonly taskQueue: string | undefined;
  call<T>(work: () => Promise<T>): Promise<T>;
  toError(error: unknown): Error;
}

const { HistoryEventFilterType } = temporal.api.enums.v1;
const { Schedule } = temporal.api.schedule.v1;

const POLICIES = {
  skip: 'SKIP',
  buffer_one: 'BUFFER_ONE',
  buffer_all: 'BUFFER_ALL',
  cancel_other: 'CANCEL_OTHER',
  terminate_other: 'TERMINATE_OTHER',
  allow_all: 'ALLOW_ALL',
} as const;

/**
 * One instant as an interval: fifty-four years apart, so that it comes once. It must not be the first of its series, which Temporal leaves
 * out, so the series begins one interval before.
 */
const ONCE_MS = 20_000 * 86_400_000;

export class ClientScheduleGateway implements ScheduleGateway {
  constructor(private readonly connection: ScheduleConnection) {}

  put(request: ScheduleRequest): Promise<ScheduleAnswer<'created' | 'updated'>> {
    const options = this.optionsOf(request);
    return this.ask(async ({ schedule }) => {
      try {
        await schedule.create({ ...options, scheduleId: request.id, state: { paused: request.paused } });
        return 'created';
      } catch (error) {
        if (!(error instanceof ScheduleAlreadyRunning)) throw error;
      }
      // A spec that is freshly built: one merged into what is there keeps the old calendars beside the new cron.
      await schedule
        .getHandle(request.id)
        .update(({ state: { paused, note } }) => ({ ...options, state: { paused, ...(note === undefined ? {} : { note }) } }));
      return 'updated';
    });
  }

  remove(id: string): Promise<ScheduleAnswer<null>> {
    return this.ask(async ({ schedule }) => {
      await schedule.getHandle(id).delete();
      return null;
    });
  }

  describe(id: string): Promise<ScheduleAnswer<ScheduleState>> {
    return this.ask(async ({ schedule }) => {
      const { state, info, raw } = await schedule.getHandle(id).describe();
      return {
        paused: state.paused,
        createdAt: info.createdAt.toISOString(),
        next: info.nextActionTimes.map((time) => time.toISOString()),
        skippedOverlap: info.numActionsSkippedOverlap,
        missedCatchup: info.numActionsMissedCatchupWindow,
        started: info.recentActions.map(({ scheduledAt }) => scheduledAt.toISOString()),
        made: madeOf(raw.schedule),
      };
    });
  }

  setPaused(id: string, paused: boolean, note: string): Promise<ScheduleAnswer<null>> {
    return this.ask(async ({ schedule }) => {
      const handle = schedule.getHandle(id);
      await (paused ? handle.pause(note) : handle.unpause(note));
      return null;
    });
  }

  backfill(
    id: string,
    { fromMs, toMs, overlap }: { readonly fromMs: number; readonly toMs: number; readonly overlap: Overlap },
  ): Promise<ScheduleAnswer<null>> {
    return this.ask(async ({ schedule }) => {
      await schedule.getHandle(id).backfill({ start: new Date(fromMs), end: new Date(toMs), overlap: POLICIES[overlap] });
      return null;
    });
  }

  times(id: string, fromMs: number, toMs: number): Promise<ScheduleAnswer<readonly string[]>> {
    return this.ask(async ({ workflowService, options: { namespace } }) => {
      const { startTime } = await workflowService.listScheduleMatchingTimes({
        namespace,
        scheduleId: id,
        startTime: timestampOf(fromMs),
        endTime: timestampOf(toMs),
      });
      return startTime.map(({ seconds, nanos }) => new Date(Number(seconds ?? 0) * 1_000 + Math.round((nanos ?? 0) / 1e6)).toISOString());
    });
  }

  list(): Promise<ScheduleAnswer<readonly string[]>> {
    return this.ask(async ({ schedule }) => {
      const ids: string[] = [];
      for await (const { scheduleId, action } of schedule.list())
        if (action?.type === 'startWorkflow' && action.workflowType === EXECUTION_WORKFLOW) ids.push(scheduleId);
      return ids;
    });
  }

  hasReplaced(id: string, executionId: string): Promise<ScheduleAnswer<boolean>> {
    return this.ask(async ({ workflowService, options: { namespace } }) => {
      const { history } = await workflowService.getWorkflowExecutionHistory({
        namespace,
        execution: { workflowId: executionId },
        historyEventFilterType: HistoryEventFilterType.HISTORY_EVENT_FILTER_TYPE_CLOSE_EVENT,
      });
      const terminated = history?.events?.at(-1)?.workflowExecutionTerminatedEventAttributes;
      // Whoever else terminates it signs otherwise.
      return terminated?.identity === `temporal-scheduler-${namespace}-${id}`;
    });
  }

  private optionsOf(request: ScheduleRequest): Pick<ScheduleOptions, 'spec' | 'policies' | 'action'> {
    const { cron, timezone, alsoAtMs, jitterMs, overlap, catchupWindowMs } = request;
    const spec: ScheduleSpec = {
      cronExpressions: [cron],
      timezone,
      ...(jitterMs === 0 ? {} : { jitter: jitterMs }),
      intervals: alsoAtMs.map((atMs) => ({ every: ONCE_MS, offset: atMs - ONCE_MS })),
    };
    return {
      spec,
      policies: { overlap: POLICIES[overlap], catchupWindow: catchupWindowMs },
      action: {
        type: 'startWorkflow',
        workflowType: EXECUTION_WORKFLOW,
        taskQueue: this.connection.taskQueue ?? TASK_QUEUES.core,
        workflowId: request.executionId,
        args: [{ kind: 'load', executionId: null, triggerId: request.id }],
        workflowTaskTimeout: WORKFLOW_TASK_TIMEOUT,
        staticSummary: toSummary(request.summary),
        typedSearchAttributes: toSearchAttributes(request.attributes),
      },
    };
  }

  private async ask<T>(work: (client: Client) => Promise<T>): Promise<ScheduleAnswer<T>> {
    try {
      return { kind: 'done', value: await this.connection.call(() => work(this.connection.client)) };
    } catch (error) {
      if (error instanceof ScheduleNotFoundError) return { kind: 'unknown' };
      return { kind: 'unavailable', error: this.connection.toError(error) };
    }
  }
}

/** Of its times, action and policies; whether it is paused, and why, may be changed in Temporal. */
function madeOf(schedule: temporal.api.schedule.v1.ISchedule | null | undefined): string {
  const { spec, action, policies } = Schedule.toObject(Schedule.create(schedule ?? {}), { longs: String, enums: String, bytes: String });
  return hashOf(JSON.parse(JSON.stringify({ spec, action, policies })) as Json);
}

const timestampOf = (ms: number) => ({ seconds: Math.floor(ms / 1_000) as never, nanos: (ms % 1_000) * 1e6 });
