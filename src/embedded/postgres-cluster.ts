/** The files of the embedded database: where they lie, and how they are made. */
import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { chmodSync, chownSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { program } from './postgres-binaries.js';
import { accountMay, identity, type ServerAccount } from './server-account.js';

export const SUPERUSER = 'signalbox';

/** `base` holds all of it: data/ (the cluster, owned by the account), password, postgres.log. */
export interface ClusterPlace {
  readonly base: string;
  readonly data: string;
  readonly passwordFile: string;
  readonly logFile: string;
}

/**
 * The folder for the cluster: `wanted`, or when the account may not enter that, a place of the machine that is named after it.
 * Not the temporary folder unless nothing else can be written: this is the user's data.
 */
export function clusterPlace(wanted: string, account: ServerAccount | undefined, log: (line: string) => void): ClusterPlace {
  const base = resolve(wanted);
  makePassable(base);
  if (account === undefined || accountMay(account, 'x', base)) return placeIn(base);
  const elsewhere = join(systemFolder(base), `signalbox-${createHash('sha256').update(base).digest('hex').slice(0, 12)}`);
  makePassable(elsewhere);
  if (!accountMay(account, 'x', elsewhere))
    throw new Error(`account ${account.name} may enter neither ${base} nor ${elsewhere}: set DATABASE_URL`);
  log(`account ${account.name} may not enter ${base}: the database lies in ${elsewhere}`);
  writeFileSync(join(base, 'MOVED'), `${elsewhere}\n`);
  return placeIn(elsewhere);
}

/**
 * Makes the cluster when it is not there. It is built beside its place and renamed, so a killed attempt leaves nothing half-made.
 * @param durable false: no fsync, for a cluster that is thrown away
 * @returns the superuser's password
 */
export async function ensureCluster(
  place: ClusterPlace,
  home: string,
  account: ServerAccount | undefined,
  durable: boolean,
): Promise<string> {
  if (existsSync(join(place.data, 'PG_VERSION'))) return readPassword(place);
  const password = existsSync(place.passwordFile) ? readPassword(place) : randomBytes(24).toString('base64url');
  writeFileSync(place.passwordFile, password, { mode: 0o600 });
  const half = `${place.data}.tmp`;
  rmSync(half, { recursive: true, force: true });
  rmSync(place.data, { recursive: true, force: true });
  makeFor(account, half);
  await initdb(home, half, password, account, durable);
  renameSync(half, place.data);
  return password;
}

async function initdb(home: string, data: string, password: string, account: ServerAccount | undefined, durable: boolean): Promise<void> {
  const pwfile = `${data}.pw`; // beside it: initdb wants an empty folder
  writeFileSync(pwfile, password, { mode: 0o600 });
  if (account !== undefined) chownSync(pwfile, account.uid, account.gid);
  const args = ['-D', data, '-U', SUPERUSER, '-A', 'scram-sha-256', `--pwfile=${pwfile}`, '-E', 'UTF8'];
  args.push('--locale-provider=builtin', '--builtin-locale=C.UTF-8', '--locale=C', ...(durable ? [] : ['--no-sync']));
  try {
    await runToEnd(program(home, 'initdb'), args, account);
  } finally {
    rmSync(pwfile, { force: true });
  }
}

function runToEnd(command: string, args: readonly string[], account: ServerAccount | undefined): Promise<void> {
  return new Promise((done, fail) => {
    const child = spawn(command, args, { cwd: '/', env: SERVER_ENV, stdio: ['ignore', 'pipe', 'pipe'], ...identity(account) });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
    child.once('error', fail);
    child.once('close', (code) => (code === 0 ? done() : fail(new Error(`${command} failed (exit code ${code})\n${output.trim()}`))));
  });
}

/** Nothing of our environment reaches the server: PG* variables would change it, and it needs no secrets. */
export const SERVER_ENV: NodeJS.ProcessEnv =
  process.platform === 'win32' ? { ...process.env, TZ: 'UTC' } : { PATH: process.env['PATH'], LC_ALL: 'C', TZ: 'UTC' };

function readPassword({ passwordFile, data }: ClusterPlace): string {
  if (existsSync(passwordFile)) return readFileSync(passwordFile, 'utf8').trim();
  throw new Error(`the database in ${data} is there but its password file ${passwordFile} is not: restore it, or move the folder away`);
}

const placeIn = (base: string): ClusterPlace => ({
  base,
  data: join(base, 'data'),
  passwordFile: join(base, 'password'),
  logFile: join(base, 'postgres.log'),
});

/** A folder that others may pass through: with `recursive`, mkdir would give the mode of the last to its parents too. */
function makePassable(path: string): void {
  if (existsSync(path)) return;
  const first = mkdirSync(path, { recursive: true });
  if (first === undefined) return;
  for (let made = path; made.length >= first.length; made = resolve(made, '..')) chmodSync(made, 0o755);
}

function makeFor(account: ServerAccount | undefined, path: string): void {
  mkdirSync(path);
  chmodSync(path, 0o700);
  if (account !== undefined) chownSync(path, account.uid, account.gid);
}

/** A folder of the machine that every account may enter, for what cannot lie in `wanted`. */
export function systemFolder(wanted: string): string {
  if (resolve(wanted).startsWith(tmpdir())) return tmpdir(); // was never meant to stay
  const candidates = process.platform === 'darwin' ? ['/Library/Application Support'] : ['/var/lib', '/var/tmp'];
  return candidates.find((path) => existsSync(path)) ?? tmpdir();
}
