import { isCancellation, sleep } from '@temporalio/workflow';
import type { Command } from '../engine/types.js';
import { CallScope } from './call-scope.js';

export type TimerCommand = Extract<Command, { kind: 'timer' }>;

const SUMMARY_LIMIT = 200;

/** The open timers of one execution. Their instants are absolute, so that a hand-over arms them again for what is left. */
export class Timers {
  private readonly open = new Map<string, { readonly command: TimerCommand; readonly scope: CallScope }>();

  /** @param onFired told once for each timer that was not cancelled, with its id */
  constructor(private readonly onFired: (id: string) => void) {}

  arm(command: TimerCommand): void {
    const scope = new CallScope();
    this.open.set(command.id, { command, scope });
    const summary = command.instance === null ? command.id : `${command.instance.stepId} · ${command.id}`.slice(0, SUMMARY_LIMIT);
    void scope
      .run(() => sleep(Math.max(1, command.at - Date.now()), { summary }))
      .then(
        () => {
          if (this.open.get(command.id)?.scope !== scope) return;
          this.open.delete(command.id);
          this.onFired(command.id);
        },
        (error: unknown) => {
          if (!isCancellation(error)) throw error;
        },
      );
  }

  cancel(id: string): void {
    this.open.get(id)?.scope.cancel();
    this.open.delete(id);
  }

  cancelAll(): void {
    for (const { scope } of this.open.values()) scope.cancel();
    this.open.clear();
  }

  commands(): TimerCommand[] {
    return [...this.open.values()].map(({ command }) => command);
  }
}
