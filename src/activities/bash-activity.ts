import type { BashPlan } from '../definition/plan.js';
import type { Json } from '../definition/value.js';
import type { StepAnswer } from '../engine/types.js';
import { StepFault } from '../tools/step-fault.js';
import { recordStep, stepTimeout, type RecordingParts, type StepWork, type Work } from './record-step.js';
import { runShell, type ShellResult } from './shell/run-shell.js';
import { DEFAULT_SHELL_LIMITS, SANDBOX_HOME, type ShellLimits, type ShellMode } from './shell/shell-mode.js';
import { insideWorkspace, workspaceOf } from './shell/workspace.js';
import type { StepCallInput } from './step-call.js';

export interface ShellParts {
  readonly mode: ShellMode;
  readonly dataDir: string;
  /** `PATH` of the steps. */
  readonly path?: string;
  readonly limits?: ShellLimits;
}

const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
/** Of each stream, in the details of a failure: its end, where the reason stands. */
const STREAM_IN_DETAILS = 4_000;

export function createBashActivity(parts: RecordingParts, shell: ShellParts): (input: StepCallInput) => Promise<StepAnswer> {
  return (input) => recordStep(parts, input, bashWork(shell, input.executionId));
}

function bashWork(shell: ShellParts, executionId: string): StepWork<BashPlan> {
  return {
    type: 'bash',
    mayRepeat: ({ onCrash }) => onCrash === 'repeat',
    timeoutFault: stepTimeout,
    async run(work) {
      const result = await runInWorkspace(shell, executionId, work);
      if (result.exitCode === 0 || work.step.allowFailure) return { output: { ...result } };
      throw new StepFault('bash_exit_code', `The command ended with exit code ${result.exitCode}`, { details: inDetails({ ...result }) });
    },
  };
}

async function runInWorkspace(shell: ShellParts, executionId: string, work: Work<BashPlan>): Promise<ShellResult> {
  const { mode, dataDir } = shell;
  if (mode === 'off') throw new StepFault('bash_disabled', 'Shell steps are off in this deployment: SIGNALBOX_SHELL is not set');
  const workspace = await workspaceOf(dataDir, executionId);
  const { cwd } = work.input;
  try {
    return await runShell({
      mode,
      workspace,
      cwd: await insideWorkspace(workspace, cwd === undefined || cwd === null ? null : toText(cwd)),
      command: toText(work.input['command'] ?? ''),
      env: environment(shell, work, mode === 'plain' ? workspace : SANDBOX_HOME),
      timeoutMs: work.step.timeoutLimitMs,
      limits: shell.limits ?? DEFAULT_SHELL_LIMITS,
      signal: work.signal,
      redact: work.redact,
    });
  } catch (error) {
    if (error instanceof StepFault && error.code === 'bash_timeout')
      throw new StepFault(error.code, error.message, { retryable: true, details: inDetails(error.details ?? {}) });
    throw error;
  }
}

/** The author's names first, so that none of ours can be replaced. */
function environment(shell: ShellParts, { input, idempotencyKey }: Work<BashPlan>, home: string): { readonly [name: string]: string } {
  return {
    PATH: shell.path ?? DEFAULT_PATH,
    HOME: home,
    LANG: 'C.UTF-8',
    ...texts(input['env'] ?? {}, true),
    ...texts(input['variables'] ?? {}, false),
    SIGNALBOX_IDEMPOTENCY_KEY: idempotencyKey,
  };
}

function texts(json: Json, areNamed: boolean): { readonly [name: string]: string } {
  if (typeof json !== 'object' || json === null || Array.isArray(json))
    throw new StepFault('tool_failed', 'env is no object of names and values');
  return Object.fromEntries(
    Object.entries(json as { readonly [name: string]: Json }).map(([name, value]) => {
      if (areNamed && !/^[A-Za-z_][A-Za-z0-9_]*$/.test(name))
        throw new StepFault('tool_failed', `"${name}" is not the name of an environment variable`);
      const text = value === null ? '' : toText(value);
      if (text.includes('\0'))
        throw new StepFault('tool_failed', `The value of ${name} holds a NUL character, which no environment can carry`);
      return [name, text];
    }),
  );
}

const toText = (json: Json): string => (typeof json === 'string' ? json : JSON.stringify(json));

const inDetails = (details: { readonly [key: string]: Json }): { readonly [key: string]: Json } => ({
  ...details,
  ...endOf(details, 'stdout'),
  ...endOf(details, 'stderr'),
});

function endOf(details: { readonly [key: string]: Json }, stream: 'stdout' | 'stderr'): { readonly [key: string]: Json } {
  const text = details[stream];
  return typeof text === 'string' && text.length > STREAM_IN_DETAILS ? { [stream]: `…${text.slice(-STREAM_IN_DETAILS)}` } : {};
}
