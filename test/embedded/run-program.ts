/** Runs a TypeScript file of test/embedded/programs as a process of its own: one that may be killed. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

const ROOT = join(__dirname, '..', '..');

export interface Program {
  readonly child: ChildProcess;
  /** All it has printed so far. */
  output(): string;
  /** Resolves with the first match in its output; rejects when it ends before. */
  printed(pattern: RegExp): Promise<RegExpMatchArray>;
  exited(): Promise<number | null>;
}

export function runProgram(name: string, args: readonly string[] = [], env: NodeJS.ProcessEnv = {}): Program {
  const child = spawn(process.execPath, ['-r', join(ROOT, 'scripts/register.cjs'), join(__dirname, 'programs', `${name}.ts`), ...args], {
    cwd: ROOT,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  let changed = (): void => {};
  const note = (chunk: Buffer): void => {
    output += chunk.toString();
    changed();
  };
  child.stdout.on('data', note);
  child.stderr.on('data', note);
  const gone = once(child, 'close').then(() => child.exitCode);
  void gone.then(() => changed());
  return {
    child,
    output: () => output,
    exited: () => gone,
    async printed(pattern) {
      for (;;) {
        const match = output.match(pattern);
        if (match !== null) return match;
        if (child.exitCode !== null || child.signalCode !== null) throw new Error(`${name} ended without ${String(pattern)}:\n${output}`);
        await new Promise<void>((done) => (changed = done));
      }
    },
  };
}
