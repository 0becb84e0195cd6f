/** One process of the service that a test may kill, freeze and start again. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream, readFileSync, type WriteStream } from 'node:fs';

export interface ProcessPlan {
  readonly name: string;
  /** Arguments of node. */
  readonly args: readonly string[];
  readonly cwd: string;
  readonly env: NodeJS.ProcessEnv;
  readonly logFile: string;
}

const running = new Set<ChildProcess>();
// A test run that ends early must not leave servers behind.
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

export class ServiceProcess {
  private child: ChildProcess | undefined;
  private ready: Promise<void> = Promise.resolve();
  private readonly log: WriteStream;

  constructor(readonly plan: ProcessPlan) {
    this.log = createWriteStream(plan.logFile, { flags: 'a' });
  }

  start(extraEnv: NodeJS.ProcessEnv = {}): void {
    if (this.isRunning) throw new Error(`${this.plan.name} is running already`);
    const child = spawn(process.execPath, this.plan.args, {
      cwd: this.plan.cwd,
      env: { ...this.plan.env, ...extraEnv },
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    });
    // The channel is what tells the child that we were killed: it stops when that closes.
    child.stdout?.pipe(this.log, { end: false });
    child.stderr?.pipe(this.log, { end: false });
    running.add(child);
    child.once('exit', () => running.delete(child));
    this.child = child;
    this.ready = new Promise((resolve, reject) => {
      child.on('message', (message) => {
        if ((message as { ready?: boolean }).ready === true) resolve();
      });
      child.once('exit', () => reject(new Error(`${this.plan.name} ended before it was ready\n${this.lastLines()}`)));
    });
    this.ready.catch(() => undefined);
  }

  /** Resolves when it says that it serves. */
  async untilReady(): Promise<void> {
    await this.ready;
  }

  get isRunning(): boolean {
    return this.child !== undefined && this.child.exitCode === null && this.child.signalCode === null;
  }

  get pid(): number {
    const pid = this.child?.pid;
    if (pid === undefined) throw new Error(`${this.plan.name} has not been started`);
    return pid;
  }

  /** Sends the signal and waits until the process is gone. */
  async kill(signal: 'SIGKILL' | 'SIGTERM' = 'SIGKILL'): Promise<void> {
    const child = this.child;
    if (child === undefined || !this.isRunning) return;
    const gone = once(child, 'exit');
    child.kill(signal);
    const timer = signal === 'SIGTERM' ? setTimeout(() => child.kill('SIGKILL'), 15_000) : undefined;
    await gone;
    clearTimeout(timer);
  }

  freeze(): void {
    this.child?.kill('SIGSTOP');
  }

  thaw(): void {
    this.child?.kill('SIGCONT');
  }

  /** What it has printed last: the reason in a failing test's message. */
  lastLines(count = 40): string {
    try {
      return readFileSync(this.plan.logFile, 'utf8').trimEnd().split('\n').slice(-count).join('\n');
    } catch {
      return '';
    }
  }
}
