import { closeSync, existsSync, openSync, readFileSync, renameSync, statSync } from 'node:fs';

const LARGEST_BYTES = 20_000_000;

/**
 * Opens the log of an embedded server for its stdout and stderr. A file, not a pipe: the server outlives a killed parent
 * and must be able to go on writing. One older file is kept.
 */
export function withLogFile<T>(path: string, use: (fd: number) => T): T {
  if (existsSync(path) && statSync(path).size > LARGEST_BYTES) renameSync(path, `${path}.1`);
  const fd = openSync(path, 'a', 0o600);
  try {
    return use(fd);
  } finally {
    closeSync(fd);
  }
}

/** The size of the log now, to read later what was added. */
export const logSize = (path: string): number => (existsSync(path) ? statSync(path).size : 0);

/** The last lines written after `from` bytes. */
export function logTail(path: string, from: number, lines = 12): string {
  if (!existsSync(path)) return '';
  return readFileSync(path).subarray(from).toString('utf8').trimEnd().split('\n').slice(-lines).join('\n');
}
