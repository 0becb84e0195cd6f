/**
 * What is out of date: each product (installed packages, generated client, compiled code, workflow bundle) has a stamp file
 * holding the hash of what it was made from. Content, not times: a checkout or a copy changes every time stamp.
 */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** The hash of all files under `paths` (files or folders; absent ones count as empty), and of `extra`. */
export function hashOf(paths, extra = '') {
  const hash = createHash('sha256').update(extra);
  for (const path of paths.flatMap(filesUnder)) hash.update(`\0${path}\0`).update(readFileSync(path));
  return hash.digest('hex');
}

export const isCurrent = (stamp, hash) => existsSync(stamp) && readFileSync(stamp, 'utf8') === hash;

export function writeStamp(stamp, hash) {
  mkdirSync(dirname(stamp), { recursive: true });
  writeFileSync(stamp, hash);
}

function filesUnder(path) {
  if (!existsSync(path)) return [];
  if (!statSync(path).isDirectory()) return [path];
  return readdirSync(path)
    .toSorted()
    .flatMap((name) => filesUnder(join(path, name)));
}
