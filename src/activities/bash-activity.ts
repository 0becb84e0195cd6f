import type { BashPlan } from '../definition/plan.js';
import type { Json } from '../definition/value.js';
import type { StepAnswer } from '../engine/types.js';
import type { ShellResult } from '../tools/shell/run-shell.js';
import { runInWorkspace, type ShellHost } from '../tools/shell/shell-host.js';
import { StepFault } from '../tools/step-fault.js';
import { recordStep, stepTimeout, type RecordingParts, type StepWork, type Work } from './record-step.js';
import type { StepCallInput } from './step-call.js';

/** Of each stream, in the details of a failure: its end, where the reason stands. */
const STREAM_IN_DETAILS = 4_000;

export function createBashActivity(parts: RecordingParts, shell: ShellHost): (input: StepCallInput) => Promise<StepAnswer> {
  return (input) => recordStep(parts, input, bashWork(shell, input.executionId));
}

function bashWork(shell: ShellHost, executionId: string): StepWork<BashPlan> {
  return {
    type: 'bash',
    mayRepeat: ({ onCrash }) => onCrash === 'repeat',
    timeoutFault: stepTimeout,
    async run(work) {
      const result = await runCommand(shell, executionId, work);
      if (result.exitCode === 0 || work.step.allowFailure) return { output: { ...result } };
      throw new StepFault('bash_exit_code', `The command ended with exit code ${result.exitCode}`, { details: inDetails({ ...result }) });
    },
  };
}

async function runCommand(shell: ShellHost, executionId: string, work: Work<BashPlan>): Promise<ShellResult> {
  const { cwd, command } = work.input;
  try {
    return await runInWorkspace(shell, {
      workspaceId: executionId,
      cwd: cwd === undefined || cwd === null ? null : toText(cwd),
      command: toText(command ?? ''),
      env: { ...texts(work.input['env'] ?? {}, true), ...texts(work.input['variables'] ?? {}, false) },
      idempotencyKey: work.idempotencyKey,
      timeoutMs: work.step.timeoutLimitMs,
      signal: work.signal,
      redact: work.redact,
    });
  } catch (error) {
    if (error instanceof StepFault && error.code === 'bash_timeout')
      throw new StepFault(error.code, error.message, { retryable: true, details: inDetails(error.details ?? {}) });
    throw error;
  }
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
