/** Settings of every Temporal worker of ours, measured (docs/performance.md); the bench's hand-written floor runs under the same. */
import type { WorkerOptions } from '@temporalio/worker';

export const WORKER_SETTINGS = {
  /** A parked execution costs about 200 KB while cached and wakes as fast when evicted. */
  maxCachedWorkflows: 300,
  /** A killed worker's runs wait this long for its sticky queue; the default of 10 s would break "within 10 s of the kill". */
  stickyQueueScheduleToStartTimeout: '1s',
  maxConcurrentWorkflowTaskExecutions: 40,
  maxConcurrentLocalActivityExecutions: 100,
  /** Cancellation travels on heartbeats; the step heartbeats every 500 ms, so this must not throttle it (notes §12). */
  maxHeartbeatThrottleInterval: '500ms',
  defaultHeartbeatThrottleInterval: '500ms',
  shutdownGraceTime: '10s',
  shutdownForceTime: '20s',
} as const satisfies Partial<WorkerOptions>;

/** Commands are real processes: how many at once is the operator's (`SIGNALBOX_SHELL_CONCURRENCY`). */
export const CONCURRENT_ACTIVITIES = { core: 100, agent: 50 } as const;
