import { spawn } from 'node:child_process';

export interface CommandResult {
  /** Null when it could not be run or was ended for taking too long. */
  readonly code: number | null;
  readonly output: string;
}

/** Runs a command to its end, at most `timeoutMs`. Never throws: a command that is not there is a result too. */
export function runCommand(command: string, args: readonly string[], timeoutMs: number): Promise<CommandResult> {
  return new Promise((done) => {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    let isLate = false;
    // Not spawn's own timeout: its timer outlives a command that could not be started, and keeps the process.
    const timer = setTimeout(() => {
      isLate = true;
      child.kill('SIGKILL');
    }, timeoutMs);
    const finish = (code: number | null, said: string): void => {
      clearTimeout(timer);
      done({ code, output: isLate ? `no end within ${timeoutMs / 1000} s` : said });
    };
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
    child.once('error', (error) => finish(null, error.message));
    child.once('close', (code) => finish(code, output.trim()));
  });
}
