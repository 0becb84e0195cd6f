/** Paths of the workspace as models write them, and the real places behind them. */
import { constants } from 'node:fs';
import { type FileHandle, lstat, mkdir, open, realpath, stat } from 'node:fs/promises';
import path from 'node:path';
import { SANDBOX_HOME } from '../shell/shell-mode.js';
import { StepFault } from '../step-fault.js';
import { isWithin } from '../workspace/workspace-folder.js';

/** Below the workspace: what the system takes for a whole path, less than what the workspace's own may have. */
const MAX_PATH = 1_024;

/**
 * The path below the workspace, `''` for its top. The sandbox's own name of the workspace may stand before it. Pure.
 * @throws StepFault `tool_failed` for other absolute paths, for `..` above the top, for NUL
 */
export function toRelative(given: string): string {
  const inside = given === SANDBOX_HOME ? '' : given.startsWith(`${SANDBOX_HOME}/`) ? given.slice(SANDBOX_HOME.length + 1) : given;
  if (inside.includes('\0')) throw refused(given, 'holds a NUL character');
  if (Buffer.byteLength(inside) > MAX_PATH) throw refused(given, 'is too long');
  if (path.isAbsolute(inside)) throw refused(given, 'is absolute: paths are relative to the workspace');
  const normal = path.normalize(inside).replace(/\/+$/, '');
  if (normal === '..' || normal.startsWith(`..${path.sep}`)) throw refused(given, 'lies outside of the workspace');
  return normal === '.' ? '' : normal;
}

/** What is behind a path, links followed. @throws StepFault `tool_failed` when there is nothing, or it lies outside */
export async function realPlace(workspace: string, given: string): Promise<string> {
  const relative = toRelative(given);
  const real = await realpath(path.join(workspace, relative)).catch((error: unknown) => Promise.reject(toFault(given, error)));
  if (!isWithin(workspace, real)) throw refused(given, 'leads outside of the workspace');
  return real;
}

/** A regular file of the workspace, open for reading. The caller closes it. @throws StepFault `tool_failed` */
export async function openToRead(workspace: string, given: string): Promise<FileHandle> {
  const real = await realPlace(workspace, given);
  return await openChecked(workspace, given, real, constants.O_RDONLY);
}

/** The same for writing; the file and its folders are made when they are not there. `isNew` tells which. @throws StepFault `tool_failed` */
export async function openToWrite(workspace: string, given: string): Promise<{ readonly handle: FileHandle; readonly isNew: boolean }> {
  const relative = toRelative(given);
  if (relative === '') throw refused(given, 'is the workspace itself');
  const wanted = path.join(workspace, relative);
  const parent = await makeFolder(workspace, given, path.dirname(wanted));
  const place = path.join(parent, path.basename(wanted));
  const there = await lstat(place).catch(() => undefined);
  const real = there?.isSymbolicLink() === true ? await realPlace(workspace, given) : place;
  const handle = await openChecked(workspace, given, real, constants.O_RDWR | constants.O_CREAT);
  return { handle, isNew: there === undefined };
}

/** The folder, made below the deepest one that is there, which has to be inside. */
async function makeFolder(workspace: string, given: string, folder: string): Promise<string> {
  for (let above = folder; ; above = path.dirname(above)) {
    const real = await realpath(above).catch(() => undefined);
    if (real === undefined && above !== workspace) continue;
    if (real === undefined || !isWithin(workspace, real)) throw refused(given, 'leads outside of the workspace');
    const wanted = path.join(real, path.relative(above, folder));
    await mkdir(wanted, { recursive: true }).catch((error: unknown) => Promise.reject(toFault(given, error)));
    const made = await realpath(wanted);
    if (!isWithin(workspace, made)) throw refused(given, 'leads outside of the workspace');
    return made;
  }
}

/**
 * Opens what was looked at, then looks again: a command of the same run may put a link in its place meanwhile. Not blocking, as
 * a pipe has no end to wait for.
 */
async function openChecked(workspace: string, given: string, real: string, flags: number): Promise<FileHandle> {
  const handle = await open(real, flags | constants.O_NOFOLLOW | constants.O_NONBLOCK | constants.O_NOCTTY, 0o666).catch((error: unknown) =>
    Promise.reject(toFault(given, error)),
  );
  try {
    const opened = await handle.stat();
    if (opened.isDirectory()) throw refused(given, 'is a folder');
    if (!opened.isFile()) throw refused(given, 'is no regular file');
    const again = await realpath(real).catch(() => '');
    const there = isWithin(workspace, again) ? await stat(again).catch(() => undefined) : undefined;
    if (there?.ino !== opened.ino || there.dev !== opened.dev) throw refused(given, 'changed while it was opened');
    return handle;
  } catch (error) {
    await handle.close();
    throw error;
  }
}

const MEANINGS: { readonly [code: string]: string } = {
  ENOENT: 'is not there',
  ENOTDIR: 'goes through something that is no folder',
  EISDIR: 'is a folder',
  EEXIST: 'goes through something that is no folder',
  EACCES: 'may not be read or written',
  ELOOP: 'is a link that leads nowhere',
  ENAMETOOLONG: 'is too long',
  ENXIO: 'is no regular file',
};

/** A fault of the file system without the places that it names, which are the host's own. */
export function toFault(given: string, error: unknown): unknown {
  const { code, syscall } = (error ?? {}) as NodeJS.ErrnoException;
  if (code === undefined || (syscall === undefined && MEANINGS[code] === undefined)) return error;
  return refused(given, MEANINGS[code] ?? `cannot be used: ${code}`);
}

const refused = (given: string, why: string): StepFault => {
  const shown = given.length > 200 ? `${given.slice(0, 200)}…` : given;
  return new StepFault('tool_failed', `Path ${JSON.stringify(shown)} ${why}`, { details: { path: shown } });
};
