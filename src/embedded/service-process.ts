/**
 * The gateway or a worker as a supervised child. What such a process promises: it sends `{ ready: true }` over IPC when it
 * serves, stops cleanly on SIGTERM, and also when the IPC channel closes, because then we were killed.
 */
import { spawn } from 'node:child_process';
import type { StopStep } from './running-process.js';
import { SupervisedProcess } from './supervised-process.js';

const STOP: readonly StopStep[] = [
  { signal: 'SIGTERM', waitMs: 25_000 },
  { signal: 'SIGKILL', waitMs: 2_000 },
];

export interface ServiceProcessOptions {
  readonly name: string;
  /** A compiled entry point. */
  readonly script: string;
  /** The whole environment of the process. */
  readonly env: NodeJS.ProcessEnv;
  readonly log: (line: string) => void;
}

export function createServiceProcess({ name, script, env, log }: ServiceProcessOptions): SupervisedProcess {
  return new SupervisedProcess({ name, log, stopSteps: STOP, launch });

  function launch() {
    const child = spawn(process.execPath, ['--enable-source-maps', script], {
      env,
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      detached: true,
    });
    const ready = new Promise<void>((done) => {
      child.on('message', (message) => {
        if (isReady(message)) done();
      });
    });
    return { child, ready };
  }
}

const isReady = (message: unknown): boolean =>
  typeof message === 'object' && message !== null && 'ready' in message && message.ready === true;
