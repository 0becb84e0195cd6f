import { spawn } from 'node:child_process';

export interface CommandResult {
  /** Null when it could not be run or was ended for taking too long. */
  readonly code: number | null;
  readonly output: string;
}

/** Runs a command to its end, at most `timeoutMs`. Never throws: a command that is not there is a result too. */
export function runCommand(command: string, args: readonly string[], timeoutMs: number): Promise<CommandResult> {
  return new Promise((done) => {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], timeout: timeoutMs, killSignal: 'SIGKILL' });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
    child.once('error', (error) => done({ code: null, output: error.message }));
    child.once('close', (code, signal) =>
      done({ code, output: signal === 'SIGKILL' ? `no end within ${timeoutMs / 1000} s` : output.trim() }),
    );
  });
}
