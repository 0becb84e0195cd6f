import { randomUUID } from 'node:crypto';
import { mkdir, readdir, realpath, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import type { Json } from '../../definition/value.js';
import { folderName, idOfFolder, workspacesIn } from './workspace-folder.js';

/** What a workspace is made of. */
export interface WorkspaceOrigin {
  readonly ownerId: string;
  /** `{ url, branch?, ref? }` as the run named it, or null. */
  readonly repo: Json;
}

export interface WorkspaceParts {
  readonly dataDir: string;
  /** Undefined: no run of that id, as for a conversation, which has an empty workspace. */
  readonly originOf: (id: string) => Promise<WorkspaceOrigin | undefined>;
  /** Fills an empty folder. @throws StepFault */
  readonly checkOut: (origin: WorkspaceOrigin, folder: string, signal: AbortSignal) => Promise<void>;
  /** Whether the runs and conversations of these ids go on; those that are not known are absent. */
  readonly statesOf: (ids: readonly string[]) => Promise<ReadonlyMap<string, 'open' | 'over'>>;
}

/** Folders that are being made: their names are no ids. */
const UNFINISHED = '.new-';
/** What nobody knows is left alone for this long: its row may be about to be written, or another process about to fill it. */
const STRAY_MS = 60 * 60_000;

/** The folders in which runs read, write and execute: one for each run, on this host, made when first used. */
export class Workspaces {
  private readonly making = new Map<string, Promise<unknown>>();
  private readonly parent: string;

  constructor(private readonly parts: WorkspaceParts) {
    this.parent = workspacesIn(parts.dataDir);
  }

  /**
   * The workspace of a run or conversation, as a real path; with its checkout when the run names a repo.
   * @throws StepFault `checkout_failed`, `http_blocked`, `http_unreachable`; the signal's reason when it aborts; AppError `unavailable`
   */
  async open(id: string, signal: AbortSignal): Promise<string> {
    const folder = path.join(this.parent, folderName(id));
    for (;;) {
      signal.throwIfAborted();
      const there = await realpath(folder).catch(() => undefined);
      if (there !== undefined) return there;
      const made = this.making.get(id);
      // Another call makes it: when that one is stopped, this one goes on itself.
      if (made === undefined) await this.makeOnce(id, folder, signal);
      else await made.catch(() => undefined);
    }
  }

  private async makeOnce(id: string, folder: string, signal: AbortSignal): Promise<void> {
    const making = this.make(id, folder, signal).finally(() => this.making.delete(id));
    this.making.set(id, making);
    await making;
  }

  private async make(id: string, folder: string, signal: AbortSignal): Promise<void> {
    await mkdir(this.parent, { recursive: true, mode: 0o700 });
    const origin = await this.parts.originOf(id);
    if (origin === undefined || origin.repo === null) await mkdir(folder, { recursive: true, mode: 0o700 });
    else await this.checkOut(origin, folder, signal);
  }

  /** Filled beside its place and moved there whole, so that no call, in whichever process, finds half a checkout. */
  private async checkOut(origin: WorkspaceOrigin, folder: string, signal: AbortSignal): Promise<void> {
    const unfinished = path.join(this.parent, `${UNFINISHED}${randomUUID()}`);
    await mkdir(unfinished, { mode: 0o700 });
    try {
      await this.parts.checkOut(origin, await realpath(unfinished), signal);
      await rename(unfinished, folder);
    } catch (error) {
      await rm(unfinished, { recursive: true, force: true });
      if (!isTaken(error)) throw error;
    }
  }

  /** Removes the workspaces of runs that are over, and what was left behind unfinished. @returns how many */
  async sweep(): Promise<number> {
    const names = await readdir(this.parent).catch(() => []);
    const states = await this.parts.statesOf(names.map(idOfFolder).filter((id) => id !== undefined));
    let removed = 0;
    for (const name of names) {
      if (!(await this.isOver(name, states))) continue;
      await rm(path.join(this.parent, name), { recursive: true, force: true });
      removed += 1;
    }
    return removed;
  }

  private async isOver(name: string, states: ReadonlyMap<string, 'open' | 'over'>): Promise<boolean> {
    const id = idOfFolder(name);
    if (id === undefined && !name.startsWith(UNFINISHED)) return false;
    const state = id === undefined ? undefined : states.get(id);
    return state === undefined ? await isOld(path.join(this.parent, name)) : state === 'over';
  }
}

/** A call in another process was faster. */
const isTaken = (error: unknown): boolean => ['ENOTEMPTY', 'EEXIST'].includes((error as NodeJS.ErrnoException | null)?.code ?? '');

async function isOld(folder: string): Promise<boolean> {
  const { mtimeMs } = await stat(folder).catch(() => ({ mtimeMs: Date.now() }));
  return Date.now() - mtimeMs > STRAY_MS;
}
