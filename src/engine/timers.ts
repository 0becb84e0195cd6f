/** Timers as state: absolute instants, armed again by the host after a hand-over. */
import type { Run } from './run.js';
import type { Timer } from './state.js';

/** @returns the timer's id */
export function armTimer(run: Run, timer: Timer, id: string): string {
  run.state.timers[id] = timer;
  run.order({ kind: 'timer', id, at: timer.at, instance: timer.instance });
  return id;
}

export function dropTimer(run: Run, id: string | null): void {
  if (id === null || run.state.timers[id] === undefined) return;
  delete run.state.timers[id];
  run.state.deferred = run.state.deferred.filter((one) => one !== id);
  run.order({ kind: 'cancel_timer', id });
}
