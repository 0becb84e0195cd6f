/**
 * The embedded PostgreSQL: a real server from the binaries of an npm package, under a folder of ours, restarted when it dies.
 * PGlite was tried: one session for all clients, and NOTIFY never arrives.
 */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { freePort } from './free-port.js';
import { logSize, logTail, withLogFile } from './log-file.js';
import { postgresHome, program } from './postgres-binaries.js';
import { type ClusterPlace, clusterPlace, ensureCluster, SERVER_ENV, SUPERUSER, systemFolder } from './postgres-cluster.js';
import { failedBySocket, mayHaveSocket, removeSockets, socketQuery } from './postgres-socket.js';
import { POSTGRES_STOP, readPostmaster, stopLeftover } from './postmaster.js';
import { identity, type ServerAccount, serverAccount } from './server-account.js';
import { type Launch, SupervisedProcess } from './supervised-process.js';

export interface EmbeddedPostgresOptions {
  /** The folder for its files; created. An account that may not enter it gets another one, and the log says so. */
  readonly dir: string;
  /** Tried first; another is chosen when none is free. */
  readonly preferredPorts?: readonly number[];
  /** Created when absent. */
  readonly database?: string;
  /** False: no fsync anywhere, for clusters that are thrown away. */
  readonly durable?: boolean;
  readonly log?: (line: string) => void;
}

export interface EmbeddedPostgres {
  readonly url: string;
  readonly port: number;
  readonly pid: () => number | undefined;
  readonly dataDir: string;
  /** Fast shutdown: open transactions are rolled back, the files are clean. */
  stop(): Promise<void>;
  /** Ends it at once; the next start recovers. */
  kill(): void;
  /** Lets it end without being restarted; stop() must follow. */
  hold(): void;
}

const NO_FSYNC = ['-c', 'fsync=off', '-c', 'synchronous_commit=off', '-c', 'full_page_writes=off'];
const ATTEMPTS = 4;

/**
 * Starts it, recovering what a killed run left: a stale lock, a live server. At most one caller per folder (see instance-lock).
 * @throws when it cannot be started, with the end of its log
 */
export async function startPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  const { durable = true, database = 'signalbox', log = () => {}, preferredPorts = [] } = options;
  const account = serverAccount();
  const place = clusterPlace(options.dir, account, log);
  const home = postgresHome(account, systemFolder(options.dir), log);
  await stopLeftover(place.data, log);
  const password = await ensureCluster(place, home, account, durable);
  requireVersion(place.data);
  let hasSocket = mayHaveSocket(place.data);
  for (let attempt = 1; ; attempt += 1) {
    const port = await freePort(attempt === 1 ? preferredPorts : []);
    const from = logSize(place.logFile);
    const supervised = new SupervisedProcess({
      name: 'PostgreSQL',
      launch: () => launch({ home, place, port, account, durable, hasSocket }),
      stopSteps: POSTGRES_STOP,
      log,
    });
    try {
      await supervised.start();
    } catch (error) {
      const tail = logTail(place.logFile, from);
      const isSocketAtFault = hasSocket && failedBySocket(tail);
      if (isSocketAtFault) hasSocket = false;
      if (attempt < ATTEMPTS && (isSocketAtFault || /could not bind|could not create any TCP/.test(tail))) continue;
      throw new Error(`PostgreSQL did not start:\n${tail}`, { cause: error });
    }
    const by = hasSocket ? await socketQuery(place.data, port) : '';
    const urlOf = (name: string): string => `postgresql://${SUPERUSER}:${password}@127.0.0.1:${port}/${name}${by}`;
    await createDatabase(urlOf('postgres'), database);
    return {
      url: urlOf(database),
      port,
      dataDir: place.data,
      pid: () => supervised.pid,
      stop: () => supervised.stop(),
      kill: () => supervised.kill(),
      hold: () => supervised.hold(),
    };
  }
}

interface LaunchInput {
  readonly home: string;
  readonly place: ClusterPlace;
  readonly port: number;
  readonly account: ServerAccount | undefined;
  readonly durable: boolean;
  readonly hasSocket: boolean;
}

async function launch({ home, place, port, account, durable, hasSocket }: LaunchInput): Promise<Launch> {
  // After a SIGKILL of the postmaster its children need a moment to go; their shared memory refuses a successor until then.
  await stopLeftover(place.data, () => {});
  removeSockets(place.data);
  const args = ['-D', place.data, '-p', String(port), '-c', 'listen_addresses=127.0.0.1'];
  args.push('-c', `unix_socket_directories=${hasSocket ? place.data : ''}`);
  args.push('-c', 'max_connections=100', ...(durable ? [] : NO_FSYNC));
  const child = withLogFile(place.logFile, (fd) =>
    spawn(program(home, 'postgres'), args, {
      cwd: place.data,
      env: SERVER_ENV,
      stdio: ['ignore', fd, fd],
      detached: true,
      ...identity(account),
    }),
  );
  return { child, ready: isReady(place.data, child.pid) };
}

/** The postmaster writes its state to line 8 of its file: no log text to parse, no connection refused on the way. */
async function isReady(data: string, pid: number | undefined): Promise<void> {
  if (pid === undefined) throw new Error('the program could not be run');
  for (;;) {
    const postmaster = readPostmaster(data);
    if (postmaster?.pid === pid && postmaster.status === 'ready') return;
    if (!isOurChild(pid)) throw new Error('the server ended');
    await sleep(15);
  }
}

function isOurChild(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

async function createDatabase(url: string, name: string): Promise<void> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    const { rowCount } = await client.query('select 1 from pg_database where datname = $1', [name]);
    if (rowCount === 0) await client.query(`create database ${client.escapeIdentifier(name)}`);
  } finally {
    await client.end();
  }
}

function requireVersion(data: string): void {
  const version = readFileSync(join(data, 'PG_VERSION'), 'utf8').trim();
  if (version === '18') return;
  throw new Error(
    `the database in ${data} was made by PostgreSQL ${version}, this is 18: export it with that version, move the folder away, import`,
  );
}
