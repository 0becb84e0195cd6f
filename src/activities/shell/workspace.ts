import { mkdir, realpath, stat } from 'node:fs/promises';
import path from 'node:path';
import { StepFault } from '../../tools/step-fault.js';

/** The folder of an execution's shell steps, made when missing. Ids of scheduled runs have colons, which some paths cannot. */
export async function workspaceOf(dataDir: string, executionId: string): Promise<string> {
  const folder = path.join(dataDir, 'workspaces', executionId.replace(/[^A-Za-z0-9_.-]/g, '_'));
  await mkdir(folder, { recursive: true, mode: 0o700 });
  return await realpath(folder);
}

/**
 * A step's `cwd` as an absolute path; links are followed before it is compared.
 * @throws StepFault `tool_failed` when it lies outside of the workspace or is no folder
 */
export async function insideWorkspace(workspace: string, cwd: string | null): Promise<string> {
  if (cwd === null || cwd === '') return workspace;
  const wanted = path.resolve(workspace, cwd);
  const real = await realpath(wanted).catch(() => null);
  if (real === null || !(await stat(real)).isDirectory())
    throw new StepFault('tool_failed', `cwd "${cwd}" is no folder of the workspace`, { details: { cwd } });
  if (real !== workspace && !real.startsWith(`${workspace}${path.sep}`))
    throw new StepFault('tool_failed', `cwd "${cwd}" lies outside of the workspace`, { details: { cwd } });
  return real;
}
