import type { Dirent } from 'node:fs';
import { readdir } from 'node:fs/promises';
import path from 'node:path';

export interface Entry {
  /** Below the workspace, with `/`. */
  readonly path: string;
  readonly type: 'file' | 'folder' | 'link' | 'other';
  /** On the disk. */
  readonly real: string;
}

export interface WalkOptions {
  readonly workspace: string;
  /** A real folder of the workspace. */
  readonly from: string;
  /** 1: what is in the folder itself. */
  readonly depth: number;
  readonly signal: AbortSignal;
}

/** Folders that only get in the way, unless one begins in them. */
const SKIPPED = new Set(['.git', 'node_modules']);

/** What is below a folder, parents first, names in order. Links are told, never followed; `.git` and `node_modules` are told, not entered. */
export async function* walk({ workspace, from, depth, signal }: WalkOptions): AsyncGenerator<Entry> {
  const waiting: { readonly folder: string; readonly level: number }[] = [{ folder: from, level: 1 }];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    signal.throwIfAborted();
    const { folder, level } = next;
    const found = await readdir(folder, { withFileTypes: true }).catch(() => [] as Dirent[]);
    const below: typeof waiting = [];
    for (const entry of found.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
      const real = path.join(folder, entry.name);
      const type = typeOf(entry);
      yield { path: path.relative(workspace, real).split(path.sep).join('/'), type, real };
      if (type === 'folder' && level < depth && !SKIPPED.has(entry.name)) below.push({ folder: real, level: level + 1 });
    }
    waiting.push(...below.toReversed());
  }
}

function typeOf(entry: Dirent): Entry['type'] {
  if (entry.isFile()) return 'file';
  if (entry.isDirectory()) return 'folder';
  return entry.isSymbolicLink() ? 'link' : 'other';
}
