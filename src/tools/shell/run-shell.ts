import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { access, constants } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { StepFault } from '../step-fault.js';
import { CappedOutput } from './capped-output.js';
import { ARGUMENTS_FD, leaderScript, sandboxVariables, shellArguments, type ShellLimits, type ShellMode } from './shell-mode.js';

export interface ShellRequest {
  readonly mode: Exclude<ShellMode, 'off'>;
  readonly command: string;
  /** Absolute, both; `cwd` inside `workspace`. */
  readonly workspace: string;
  readonly cwd: string;
  /** The whole environment: nothing of the worker's own is added. */
  readonly env: { readonly [name: string]: string };
  /** `PATH` of the host, by which the programs of the mode are found. */
  readonly hostPath: string;
  readonly timeoutMs: number;
  readonly limits: ShellLimits;
  readonly signal: AbortSignal;
  readonly redact: (text: string) => string;
}

export interface ShellResult {
  /** 128 + n when signal n ended it, as a shell says it. */
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
  readonly durationMs: number;
}

/** Between the request to end and the kill. Together with the rest within the 2 s that cancelling may take. */
const GRACE_MS = 1_000;

/**
 * Runs a command in a process group of its own and leaves no process of it behind, however it ends.
 * @throws StepFault `bash_timeout` (retryable, details stdout and stderr), `bash_disabled` when a program of the mode is missing; the signal's reason when it aborts
 */
export async function runShell(request: ShellRequest): Promise<ShellResult> {
  request.signal.throwIfAborted();
  const startedAt = Date.now();
  const child = await start(request);
  const streams = { stdout: collect(child.stdout as Readable), stderr: collect(child.stderr as Readable) };
  const exited = once(child, 'exit') as Promise<[number | null, NodeJS.Signals | null]>;
  const ended = await firstOf(exited, request);
  if (ended !== 'exited') await endGroup(child, exited);
  const [code, signalName] = await exited;
  // What the command left in the background holds its streams open; no process of a step outlives it.
  killGroup(child, 'SIGKILL');
  await Promise.race([Promise.all([streams.stdout.closed, streams.stderr.closed]), sleep(500, undefined, { ref: false })]);
  const output = { stdout: streams.stdout.output.finish(request.redact), stderr: streams.stderr.output.finish(request.redact) };
  request.signal.throwIfAborted();
  if (ended === 'timeout') {
    throw new StepFault('bash_timeout', `The command was ended after ${request.timeoutMs} ms`, {
      retryable: true,
      details: { timeoutMs: request.timeoutMs, ...output },
    });
  }
  return { exitCode: code ?? 128 + signalNumber(signalName), ...output, durationMs: Date.now() - startedAt };
}

async function start(request: ShellRequest): Promise<ChildProcess> {
  const isSandboxed = request.mode === 'bubblewrap';
  if (isSandboxed && !(await isOnPath('bwrap', request.hostPath))) {
    throw new StepFault('bash_disabled', 'SIGNALBOX_SHELL is bubblewrap, but bwrap is not installed on this worker');
  }
  const child = spawn('/bin/sh', ['-c', leaderScript(request.limits), 'sh', ...shellArguments(request.mode, request)], {
    cwd: request.cwd,
    env: isSandboxed ? { PATH: request.hostPath } : request.env,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe', 'pipe', isSandboxed ? 'pipe' : 'ignore'],
  });
  try {
    await once(child, 'spawn');
    // The lifeline must not keep the worker alive, and its end is no news.
    (child.stdio[3] as Readable).on('error', () => undefined);
    if (isSandboxed) (child.stdio[ARGUMENTS_FD] as Writable).on('error', () => undefined).end(sandboxVariables(request.env));
    return child;
  } catch (error) {
    throw new StepFault('bash_disabled', `No shell can be started: ${(error as Error).message}`, { cause: error });
  }
}

async function isOnPath(program: string, path: string): Promise<boolean> {
  const found = await Promise.all(
    path.split(':').map((folder) =>
      access(join(folder, program), constants.X_OK).then(
        () => true,
        () => false,
      ),
    ),
  );
  return found.includes(true);
}

async function firstOf(exited: Promise<unknown>, { timeoutMs, signal }: ShellRequest): Promise<'exited' | 'timeout' | 'aborted'> {
  const over = new AbortController();
  const aborted = new Promise<'aborted'>((resolve) =>
    signal.addEventListener('abort', () => resolve('aborted'), { once: true, signal: over.signal }),
  );
  const timeout = sleep(timeoutMs, 'timeout' as const, { signal: over.signal }).catch(() => 'timeout' as const);
  try {
    return await Promise.race([exited.then(() => 'exited' as const), timeout, aborted]);
  } finally {
    over.abort();
  }
}

async function endGroup(child: ChildProcess, exited: Promise<unknown>): Promise<void> {
  killGroup(child, 'SIGTERM');
  await Promise.race([exited, sleep(GRACE_MS, undefined, { ref: false })]);
  killGroup(child, 'SIGKILL');
}

function killGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  try {
    process.kill(-(child.pid as number), signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

function collect(stream: Readable): { readonly output: CappedOutput; readonly closed: Promise<void> } {
  const output = new CappedOutput();
  stream.on('data', (chunk: Buffer) => output.add(chunk));
  stream.on('error', () => undefined);
  return { output, closed: new Promise((resolve) => stream.once('close', resolve)) };
}

const SIGNAL_NUMBERS: { readonly [name: string]: number } = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGQUIT: 3,
  SIGABRT: 6,
  SIGKILL: 9,
  SIGSEGV: 11,
  SIGPIPE: 13,
  SIGTERM: 15,
  SIGXCPU: 24,
  SIGXFSZ: 25,
};
const signalNumber = (name: NodeJS.Signals | null): number => SIGNAL_NUMBERS[name ?? ''] ?? 0;
