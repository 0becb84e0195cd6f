/**
 * Who the embedded PostgreSQL runs as. It refuses root, so as root it drops to an unprivileged account of the machine; nothing
 * is created on the host. Elsewhere, and for other users, it runs as ourselves.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

export interface ServerAccount {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

/** @returns the account to drop to, undefined when this process may run the server itself. `postgres` if present, else `nobody`. */
export function serverAccount(): ServerAccount | undefined {
  if (process.platform === 'win32' || process.getuid?.() !== 0) return undefined;
  const accounts = readAccounts();
  return (
    accounts.find(({ name }) => name === 'postgres') ??
    accounts.find(({ name }) => name === 'nobody') ?? { name: '65534', uid: 65534, gid: 65534 }
  );
}

/** Whether that account may do `test` (`x` enter or run, `w` write) on a path, asked of the system: modes alone miss ACLs and mounts. */
export function accountMay(account: ServerAccount | undefined, test: 'x' | 'w' | 'r', path: string): boolean {
  const { status } = spawnSync('/bin/sh', ['-c', `test -${test} "$0"`, path], { cwd: '/', stdio: 'ignore', ...identity(account) });
  return status === 0;
}

/** The spawn options that make a child run as the account. */
export function identity(account: ServerAccount | undefined): { uid?: number; gid?: number } {
  return account === undefined ? {} : { uid: account.uid, gid: account.gid };
}

function readAccounts(): ServerAccount[] {
  try {
    return readFileSync('/etc/passwd', 'utf8').split('\n').flatMap(parseAccount);
  } catch {
    return [];
  }
}

function parseAccount(line: string): ServerAccount[] {
  const [name = '', , uid, gid] = line.split(':');
  // macOS writes nobody as -2; the kernel wants it unsigned.
  const [user = Number.NaN, group = Number.NaN] = [uid, gid].map(Number).map((id) => (id < 0 ? id + 2 ** 32 : id));
  return Number.isInteger(user) && Number.isInteger(group) && user !== 0 ? [{ name, uid: user, gid: group }] : [];
}
