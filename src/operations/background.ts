/**
 * Work that follows an answer: signals and starts that the caller does not wait for. What fails here is repeated by the
 * reconciler, so nothing is lost with the process; a clean stop waits for what is under way.
 */
export interface Background {
  /** Runs the work, catches and reports what it throws. */
  run(what: string, work: () => Promise<void>): void;
  /** Resolves when nothing is under way, whatever it started meanwhile included. */
  drain(): Promise<void>;
}

export function createBackground(onError: (what: string, error: unknown) => void): Background {
  const running = new Set<Promise<void>>();
  return {
    run(what, work) {
      const job = Promise.resolve()
        .then(work)
        .catch((error: unknown) => onError(what, error))
        .finally(() => running.delete(job));
      running.add(job);
    },
    async drain() {
      while (running.size > 0) await Promise.all(running);
    },
  };
}
