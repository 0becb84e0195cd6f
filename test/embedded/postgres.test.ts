import { spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { type EmbeddedPostgres, startPostgres } from '../../src/embedded/postgres.js';
import { isAlive } from '../../src/embedded/running-process.js';
import { runProgram } from './run-program.js';
import { removeTemporaryFolders, temporaryFolder } from './temporary-folder.js';

const isRoot = process.getuid?.() === 0;
const opened: EmbeddedPostgres[] = [];
const start = async (dir: string, more: { preferredPorts?: number[]; log?: (line: string) => void } = {}): Promise<EmbeddedPostgres> => {
  const server = await startPostgres({ dir, ...more });
  opened.push(server);
  return server;
};

async function query<Row extends object>(url: string, sql: string): Promise<Row[]> {
  const client = new Client({ connectionString: url });
  client.on('error', () => {}); // the server is killed under it
  await client.connect();
  try {
    return (await client.query<Row>(sql)).rows;
  } finally {
    await client.end().catch(() => {});
  }
}

async function whenBack<Row extends object>(url: string, sql: string): Promise<Row[]> {
  for (let tries = 0; ; tries += 1) {
    try {
      return await query<Row>(url, sql);
    } catch (error) {
      if (tries > 200) throw error;
      await sleep(50); // nothing announces it to a client: it tries again
    }
  }
}

afterEach(async () => {
  await Promise.all(opened.splice(0).map((server) => server.stop()));
  removeTemporaryFolders();
});

describe('embedded PostgreSQL', () => {
  it('keeps what was committed when it is killed, and comes back on the same address by itself', async () => {
    const server = await start(temporaryFolder());
    await query(server.url, 'create table kept (n int); insert into kept select generate_series(1, 1000)');
    const killed = server.pid() ?? 0;
    process.kill(killed, 'SIGKILL');
    expect(await whenBack(server.url, 'select count(*)::int as n from kept')).toEqual([{ n: 1000 }]);
    expect(server.pid()).not.toBe(killed);
  });

  it('runs with full durability', async () => {
    const server = await start(temporaryFolder());
    const rows = await query(server.url, "select current_setting('fsync') as fsync, current_setting('synchronous_commit') as commit");
    expect(rows).toEqual([{ fsync: 'on', commit: 'on' }]);
  });

  it('finds its data again after an orderly stop, which leaves no lock', async () => {
    const dir = temporaryFolder();
    const first = await start(dir);
    await query(first.url, 'create table kept (n int); insert into kept values (7)');
    await first.stop();
    expect(existsSync(join(first.dataDir, 'postmaster.pid'))).toBe(false);
    const second = await start(dir);
    expect(await query(second.url, 'select n from kept')).toEqual([{ n: 7 }]);
  });

  it('chooses another port when the preferred one is taken', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await new Promise((done) => other.once('listening', done));
    const taken = (other.address() as AddressInfo).port;
    const server = await start(temporaryFolder(), { preferredPorts: [taken] });
    other.close();
    expect(server.port).not.toBe(taken);
    expect(await query(server.url, 'select 1 as one')).toEqual([{ one: 1 }]);
  });

  it('takes the place of the server that a killed run left behind', async () => {
    const dir = temporaryFolder();
    const program = runProgram('postgres-program', [dir]);
    const [, url = '', pid] = await program.printed(/SERVES (\S+) (\d+)/);
    await query(url, 'create table kept (n int); insert into kept values (1)');
    program.child.kill('SIGKILL');
    await program.exited();
    expect(isAlive(Number(pid))).toBe(true);
    const lines: string[] = [];
    const server = await start(dir, { log: (line) => lines.push(line) });
    expect(lines).toContainEqual(expect.stringContaining(`left behind (pid ${pid})`));
    expect(isAlive(Number(pid))).toBe(false);
    expect(await query(server.url, 'select n from kept')).toEqual([{ n: 1 }]);
  });

  it('does not touch a stranger who has the pid that a stale lock names', async () => {
    const dir = temporaryFolder();
    const first = await start(dir);
    await first.stop();
    const stranger = spawn('sleep', ['60'], { stdio: 'ignore' });
    writeFileSync(join(first.dataDir, 'postmaster.pid'), `${stranger.pid}\n${first.dataDir}\n1\n5432\n\n\n\nready\n`);
    const second = await start(dir);
    expect(await query(second.url, 'select 1 as one')).toEqual([{ one: 1 }]);
    expect(stranger.exitCode ?? stranger.signalCode).toBeNull();
    stranger.kill();
  });

  it('begins again when an earlier start was killed while it made the files', async () => {
    const dir = temporaryFolder();
    mkdirSync(join(dir, 'data.tmp', 'base'), { recursive: true });
    writeFileSync(join(dir, 'data.tmp', 'PG_VERSION'), '18\n');
    const server = await start(dir);
    expect(await query(server.url, 'select 1 as one')).toEqual([{ one: 1 }]);
  });

  it('asks for the password, which lies in a file of its user only', async () => {
    const dir = temporaryFolder();
    const server = await start(dir);
    const url = new URL(server.url);
    url.password = 'wrong';
    await expect(query(url.href, 'select 1')).rejects.toThrow(/password authentication failed/);
    url.search = '';
    await expect(query(url.href, 'select 1')).rejects.toThrow(/password authentication failed/);
    expect(readFileSync(join(dir, 'password'), 'utf8')).toBe(new URL(server.url).password);
  });

  it('is reached by a socket that its account alone can get at, and by TCP, also after it was killed', async () => {
    const server = await start(temporaryFolder());
    const url = new URL(server.url);
    expect(url.searchParams.get('host')).toBe(server.dataDir);
    expect(statSync(server.dataDir).mode & 0o777).toBe(0o700);
    const peer = 'select host(inet_client_addr()) as peer';
    expect(await query(server.url, peer)).toEqual([{ peer: null }]);
    url.search = '';
    expect(await query(url.href, peer)).toEqual([{ peer: '127.0.0.1' }]);
    process.kill(server.pid() ?? 0, 'SIGKILL');
    expect(await whenBack(server.url, peer)).toEqual([{ peer: null }]);
  });

  it('is reached by TCP alone where the path of a socket would be too long', async () => {
    const server = await start(join(temporaryFolder(), 'deep'.repeat(25)));
    expect(new URL(server.url).search).toBe('');
    expect(await query(server.url, 'select 1 as one')).toEqual([{ one: 1 }]);
  });

  it('is not kept from starting by what the socket of a killed run has left', async () => {
    const dir = temporaryFolder();
    const first = await start(dir);
    await first.stop();
    // Of the server's account, as whoever gets the pid after a restart of a container is: it believes that one to be another server.
    const { uid, gid } = statSync(first.dataDir);
    const stranger = spawn('sleep', ['60'], { stdio: 'ignore', ...(isRoot ? { uid, gid } : {}) });
    writeFileSync(join(first.dataDir, `.s.PGSQL.${first.port}.lock`), `${stranger.pid}\n${first.dataDir}\n1\n${first.port}\n\n`);
    const second = await start(dir, { preferredPorts: [first.port] });
    expect(new URL(second.url).search).not.toBe('');
    expect(await query(second.url, 'select 1 as one')).toEqual([{ one: 1 }]);
    stranger.kill();
  });

  it('says what to do when the files are of another major version', async () => {
    const dir = temporaryFolder();
    const server = await start(dir);
    await server.stop();
    writeFileSync(join(server.dataDir, 'PG_VERSION'), '17\n');
    await expect(start(dir)).rejects.toThrow(/made by PostgreSQL 17, this is 18/);
  });

  (isRoot ? it : it.skip)('moves elsewhere, and says where, when its account may not enter the folder', async () => {
    const closed = temporaryFolder();
    chmodSync(closed, 0o700);
    const lines: string[] = [];
    const server = await start(join(closed, 'postgres'), { log: (line) => lines.push(line) });
    const place = lines.join('\n').match(/the database lies in (\S+)/)?.[1] ?? '';
    expect(server.dataDir.startsWith(place)).toBe(true);
    await query(server.url, 'create table kept (n int); insert into kept values (3)');
    await server.stop();
    const again = await start(join(closed, 'postgres'));
    expect(await query(again.url, 'select n from kept')).toEqual([{ n: 3 }]);
    await again.stop();
    rmSync(place, { recursive: true });
  });
});
