import { spawn } from 'node:child_process';
import { once } from 'node:events';

export interface GitCall {
  readonly args: readonly string[];
  readonly cwd: string;
  /** All of it: nothing of the worker's own is added but `PATH`. */
  readonly env: { readonly [name: string]: string };
  readonly signal: AbortSignal;
}

export interface GitResult {
  /** Null: a signal ended it. */
  readonly exitCode: number | null;
  /** The end of what it wrote there. */
  readonly stderr: string;
}

const STDERR_KEPT = 8_192;

/**
 * Runs git without a shell, in a process group of its own that is killed whole when the signal aborts.
 * @throws Error of code ENOENT when git is not installed; the signal's reason
 */
export async function runGit({ args, cwd, env, signal }: GitCall): Promise<GitResult> {
  signal.throwIfAborted();
  const child = spawn('git', [...args], { cwd, env, detached: true, stdio: ['ignore', 'ignore', 'pipe'] });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr = (stderr + text).slice(-STDERR_KEPT);
  });
  const kill = (): void => {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  };
  signal.addEventListener('abort', kill, { once: true });
  try {
    const [exitCode] = (await once(child, 'close')) as [number | null];
    signal.throwIfAborted();
    return { exitCode, stderr };
  } finally {
    signal.removeEventListener('abort', kill);
  }
}
