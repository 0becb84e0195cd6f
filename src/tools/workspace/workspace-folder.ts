import { realpath, stat } from 'node:fs/promises';
import path from 'node:path';
import { StepFault } from '../step-fault.js';

const PARENT = 'workspaces';

/** Where all workspaces of a data directory are. */
export const workspacesIn = (dataDir: string): string => path.join(dataDir, PARENT);

/** The name of a workspace's folder. Ids of scheduled runs have colons, which `PATH` and the sandbox's arguments cannot take. Pure. */
export const folderName = (id: string): string => encodeURIComponent(id);

/** The id behind the name; undefined: no workspace of ours. Pure. */
export function idOfFolder(name: string): string | undefined {
  try {
    const id = decodeURIComponent(name);
    return folderName(id) === name && !name.startsWith('.') ? id : undefined;
  } catch {
    return undefined;
  }
}

/** Whether a real path is the workspace or lies in it. Pure. */
export const isWithin = (workspace: string, real: string): boolean => real === workspace || real.startsWith(`${workspace}${path.sep}`);

/**
 * A step's `cwd` as an absolute path; links are followed before it is compared.
 * @throws StepFault `tool_failed` when it lies outside of the workspace or is no folder
 */
export async function insideWorkspace(workspace: string, cwd: string | null): Promise<string> {
  if (cwd === null || cwd === '') return workspace;
  const wanted = path.resolve(workspace, cwd);
  const real = cwd.includes('\0') ? null : await realpath(wanted).catch(() => null);
  if (real === null || !(await stat(real)).isDirectory())
    throw new StepFault('tool_failed', `cwd "${cwd}" is no folder of the workspace`, { details: { cwd } });
  if (!isWithin(workspace, real)) throw new StepFault('tool_failed', `cwd "${cwd}" lies outside of the workspace`, { details: { cwd } });
  return real;
}
