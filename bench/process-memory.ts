/** Resident memory of a process from /proc (Linux only), in MB. */
import { readFileSync } from 'node:fs';

/** @returns undefined where there is no /proc */
export function residentMb(pid: number): number | undefined {
  try {
    const kb = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
    return kb === undefined ? undefined : Number(kb) / 1024;
  } catch {
    return undefined;
  }
}

/** Samples every 50 ms while `work` goes on. @returns what it saw, in order; nothing where there is no /proc */
export async function memoryDuring(pid: number, work: () => Promise<unknown>): Promise<number[]> {
  const seen: number[] = [];
  const look = (): void => {
    const mb = residentMb(pid);
    if (mb !== undefined) seen.push(mb);
  };
  look();
  const timer = setInterval(look, 50);
  try {
    await work();
  } finally {
    clearInterval(timer);
  }
  look();
  return seen;
}
