/** Processes that are not our children: what a killed run left behind. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return !isZombie(pid);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** The command line of a process, to tell a server of ours from a stranger that was given the same pid; '' when it cannot be read. */
export function commandLineOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
  } catch {
    if (process.platform === 'win32' || process.platform === 'linux') return '';
    return spawnSync('ps', ['-o', 'command=', '-p', String(pid)], { encoding: 'utf8' }).stdout;
  }
}

/** Signals a process one step of `ladder` after the other until it is gone. @returns whether it is gone */
export async function endProcess(pid: number, ladder: readonly StopStep[]): Promise<boolean> {
  for (const { signal, waitMs } of ladder) {
    try {
      process.kill(pid, signal);
    } catch {
      return !isAlive(pid);
    }
    for (const until = Date.now() + waitMs; Date.now() < until; ) {
      if (!isAlive(pid)) return true;
      await sleep(20);
    }
  }
  return !isAlive(pid);
}

/** One rung of an orderly stop: the signal, and how long it may take before the next one. */
export interface StopStep {
  readonly signal: NodeJS.Signals;
  readonly waitMs: number;
}

/** In a container nobody may reap an orphan: it stays in the table, dead. */
function isZombie(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).startsWith('Z');
  } catch {
    return false;
  }
}
