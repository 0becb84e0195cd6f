import { CancelledFailure } from '@temporalio/common';
import { CancellationScope } from '@temporalio/workflow';

/**
 * A cancellation scope for one call of the SDK (an activity, a timer), started in a scope that is not cancellable. `CancellationScope` itself makes
 * five promises to be ready for children and parents, and each promise costs a noted stack (see short-stacks): together more than the engine's
 * work for a step. This one makes none until it is cancelled. The SDK asks no more of the current scope than what stands here.
 */
export class CallScope {
  readonly cancellable = true;
  private readonly handlers: ((error: CancelledFailure) => void)[] = [];
  private error: CancelledFailure | undefined;

  /** The SDK waits here for the cancel of what it has started. */
  readonly cancelRequested = {
    catch: (handler: (error: CancelledFailure) => void): void => void this.handlers.push(handler),
  };

  get consideredCancelled(): boolean {
    return this.error !== undefined;
  }

  /** Makes itself the current scope of the call that `start` makes, and gives what it gives. */
  run<T>(start: () => Promise<T>): Promise<T> {
    return CancellationScope.prototype.run.call(this, start) as Promise<T>;
  }

  /** What the SDK's `run` calls inside the scope. */
  protected runInContext<T>(start: () => Promise<T>): Promise<T> {
    return start();
  }

  /** As the SDK's: what was started hears of it in the next microtask. Once. */
  cancel(): void {
    if (this.error !== undefined) return;
    const error = new CancelledFailure('Cancellation scope cancelled');
    this.error = error;
    void Promise.resolve().then(() => {
      for (const handler of this.handlers) handler(error);
    });
  }
}
