/** The server that holds a data folder, as its postmaster.pid tells. */
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { commandLineOf, endProcess, isAlive, type StopStep } from './running-process.js';

/** Fast shutdown, then immediate (recovers from its log at the next start), which also ends a server that waits for its clients. */
export const POSTGRES_STOP: readonly StopStep[] = [
  { signal: 'SIGINT', waitMs: 10_000 },
  { signal: 'SIGQUIT', waitMs: 5_000 },
];

interface Postmaster {
  readonly pid: number;
  readonly data: string;
  readonly status: string;
}

export function readPostmaster(data: string): Postmaster | undefined {
  const file = join(data, 'postmaster.pid');
  if (!existsSync(file)) return undefined;
  const lines = readFileSync(file, 'utf8').split('\n');
  return { pid: Number(lines[0]), data: lines[1] ?? '', status: (lines[7] ?? '').trim() };
}

/**
 * Stops the server that a killed run left on this folder, so that the new one is our own child. One that is not of this
 * folder (the pid was given to somebody else) is left alone, and its stale file removed.
 * @throws when it does not end
 */
export async function stopLeftover(data: string, log: (line: string) => void): Promise<void> {
  const left = readPostmaster(data);
  if (left === undefined) return;
  if (!Number.isInteger(left.pid) || left.pid <= 0 || !isAlive(left.pid) || !serves(left.pid, data)) {
    rmSync(join(data, 'postmaster.pid'), { force: true });
    return;
  }
  log(`stopping the PostgreSQL server that a killed run left behind (pid ${left.pid})`);
  if (!(await endProcess(left.pid, POSTGRES_STOP))) throw new Error(`the PostgreSQL server of ${data} (pid ${left.pid}) does not stop`);
}

/** The postmaster rewrites its title nowhere, so its command line names the folder. Unreadable (Windows): the file is believed. */
function serves(pid: number, data: string): boolean {
  const command = commandLineOf(pid);
  return command === '' ? process.platform === 'win32' : command.includes(data);
}
