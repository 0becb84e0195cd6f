import { StepFault } from '../step-fault.js';
import { insideWorkspace } from '../workspace/workspace-folder.js';
import type { Workspaces } from '../workspace/workspaces.js';
import { runShell, type ShellResult } from './run-shell.js';
import { DEFAULT_SHELL_LIMITS, SANDBOX_HOME, type ShellLimits, type ShellMode } from './shell-mode.js';

/** What this host lets commands do, and where. */
export interface ShellHost {
  readonly mode: ShellMode;
  readonly workspaces: Workspaces;
  /** `PATH` of the commands. */
  readonly path?: string;
  readonly limits?: ShellLimits;
}

export interface WorkspaceCommand {
  /** The run's, or the conversation's. */
  readonly workspaceId: string;
  readonly command: string;
  /** Inside the workspace; null is its top. */
  readonly cwd: string | null;
  /** The author's own variables. */
  readonly env: { readonly [name: string]: string };
  readonly idempotencyKey: string;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  readonly redact: (text: string) => string;
}

export const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/**
 * Runs a command in the workspace of a run, in a clean environment.
 * @throws StepFault `bash_disabled`, `bash_timeout`, `tool_failed` for its cwd, and those of the checkout; the signal's reason
 */
export async function runInWorkspace(host: ShellHost, command: WorkspaceCommand): Promise<ShellResult> {
  const { mode } = host;
  if (mode === 'off') throw new StepFault('bash_disabled', 'Shell steps are off in this deployment: SIGNALBOX_SHELL is not set');
  const hostPath = host.path ?? DEFAULT_PATH;
  const workspace = await host.workspaces.open(command.workspaceId, command.signal);
  return await runShell({
    mode,
    workspace,
    cwd: await insideWorkspace(workspace, command.cwd),
    command: command.command,
    // The author's names in the middle, so that our key cannot be replaced.
    env: {
      PATH: hostPath,
      HOME: mode === 'plain' ? workspace : SANDBOX_HOME,
      LANG: 'C.UTF-8',
      ...command.env,
      SIGNALBOX_IDEMPOTENCY_KEY: command.idempotencyKey,
    },
    hostPath,
    timeoutMs: command.timeoutMs,
    limits: host.limits ?? DEFAULT_SHELL_LIMITS,
    signal: command.signal,
    redact: command.redact,
  });
}
