import type { Workspaces } from './workspaces.js';

const EVERY_MS = 10 * 60_000;
const FIRST_MS = 30_000;

/** Removes workspaces that are over, every ten minutes; the first time soon after the start. @returns what ends it */
export function startWorkspaceSweeper(
  workspaces: Pick<Workspaces, 'sweep'>,
  told: { readonly onRemoved: (count: number) => void; readonly onFailed: (error: unknown) => void },
): { stop(): Promise<void> } {
  let running: Promise<void> = Promise.resolve();
  const look = (): void => {
    running = workspaces.sweep().then(
      (count) => (count > 0 ? told.onRemoved(count) : undefined),
      (error: unknown) => told.onFailed(error),
    );
  };
  const first = setTimeout(look, FIRST_MS).unref();
  const later = setInterval(look, EVERY_MS).unref();
  return {
    stop: async () => {
      clearTimeout(first);
      clearInterval(later);
      await running;
    },
  };
}
