/**
 * A child process that is kept running: when it dies it is launched again, at once the first time, then after growing
 * pauses. It is detached, so that a terminal's Ctrl-C reaches only us and the order of the shutdown is ours.
 */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import type { StopStep } from './running-process.js';

export interface Launch {
  readonly child: ChildProcess;
  /** Resolves when it serves; need not settle when the child dies first. */
  readonly ready: Promise<unknown>;
}

export interface SupervisedProcessOptions {
  readonly name: string;
  readonly launch: () => Launch | Promise<Launch>;
  readonly stopSteps: readonly StopStep[];
  readonly log: (line: string) => void;
  readonly readyTimeoutMs?: number;
  /** Pause before the first relaunch: long enough that a signal sent to every process has reached us too. Doubles up to 5 s. */
  readonly firstPauseMs?: number;
}

/** Runs this long: its next death counts as the first again. */
const STABLE_MS = 30_000;
const LONGEST_PAUSE_MS = 5_000;

export class SupervisedProcess {
  private child: ChildProcess | undefined;
  private isStopping = false;
  /** The next death was asked for: it does not count as a failure. */
  private isWanted = false;
  private pause: AbortController | undefined;
  private watching: Promise<void> | undefined;

  constructor(private readonly options: SupervisedProcessOptions) {}

  get pid(): number | undefined {
    return this.child?.pid;
  }

  /** Launches it and waits until it serves. @throws when it dies or is not ready in time; it is then not relaunched */
  async start(): Promise<void> {
    const launched = await this.launchOnce();
    this.watching = this.watch(launched);
  }

  /** Lets it end without being launched again: said to all parts before the first is stopped, since others may end it meanwhile. */
  hold(): void {
    this.isStopping = true;
    this.pause?.abort();
  }

  /** Stops it by the steps given and waits for its end. Harmless when repeated. */
  async stop(): Promise<void> {
    this.hold();
    await this.end();
    await this.watching;
  }

  /** Ends it in order and lets it be launched again, for new code. Resolves when the old one is gone. */
  async restart(): Promise<void> {
    this.isWanted = true;
    await this.end();
  }

  /** Ends it at once, for a second signal. */
  kill(): void {
    this.isStopping = true;
    this.child?.kill('SIGKILL');
  }

  private async launchOnce(): Promise<ChildProcess> {
    const { name, launch, readyTimeoutMs = 60_000 } = this.options;
    const { child, ready } = await launch();
    this.child = child;
    child.on('error', () => {}); // a failed spawn shows as a child without pid
    if (this.isStopping) {
      ready.catch(() => {});
      await this.end();
      throw new Error(`${name} is being stopped`);
    }
    const died = new AbortController();
    const death = exitOf(child).then((how) => {
      died.abort();
      throw new Error(`${name} ended before it was ready (${how})`);
    });
    const late = sleep(readyTimeoutMs, undefined, { signal: died.signal, ref: false }).then(() => {
      throw new Error(`${name} was not ready within ${readyTimeoutMs / 1000} s`);
    });
    late.catch(() => {});
    try {
      await Promise.race([ready, death, late]);
    } catch (error) {
      death.catch(() => {});
      await this.end();
      throw error;
    }
    death.catch(() => {});
    return child;
  }

  private async watch(first: ChildProcess): Promise<void> {
    const { name, log } = this.options;
    let deaths = 0;
    for (let child: ChildProcess | undefined = first; !this.isStopping; ) {
      const since = Date.now();
      const how = child === undefined ? undefined : await exitOf(child);
      if (how !== undefined) deaths = this.isWanted || Date.now() - since > STABLE_MS ? 1 : deaths + 1;
      await this.rest(deaths);
      if (this.isStopping) return;
      if (how !== undefined) log(this.isWanted ? `${name} restarts` : `${name} ended (${how}), starting it again`);
      this.isWanted = false;
      child = await this.launchOnce().catch((error: unknown) => {
        deaths += 1;
        log(`${name} did not come back: ${error instanceof Error ? error.message : String(error)}`);
        return undefined;
      });
      if (child !== undefined) log(`${name} is back`);
    }
  }

  private async rest(deaths: number): Promise<void> {
    const { firstPauseMs = 100 } = this.options;
    this.pause = new AbortController();
    const ms = Math.min(firstPauseMs * 2 ** Math.max(0, deaths - 1), LONGEST_PAUSE_MS);
    await sleep(ms, undefined, { signal: this.pause.signal }).catch(() => {});
  }

  private async end(): Promise<void> {
    const { child } = this;
    if (child === undefined) return;
    const exit = exitOf(child);
    for (const { signal, waitMs } of this.options.stopSteps) {
      if (hasExited(child)) return;
      child.kill(signal);
      const timer = new AbortController();
      await Promise.race([exit, sleep(waitMs, undefined, { signal: timer.signal }).catch(() => {})]);
      timer.abort();
    }
    if (!hasExited(child)) child.kill('SIGKILL');
    await exit;
  }
}

const hasExited = (child: ChildProcess): boolean => child.exitCode !== null || child.signalCode !== null || child.pid === undefined;

async function exitOf(child: ChildProcess): Promise<string> {
  if (!hasExited(child)) await once(child, 'exit').catch(() => {});
  return child.signalCode ?? `exit code ${child.exitCode ?? 'unknown'}`;
}
