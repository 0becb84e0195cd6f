/**
 * One service per data folder. The lock is a socket that its owner listens on: the system closes it with the process,
 * so unlike a file with a pid it is never stale and never believes a stranger who was given the pid.
 */
import { createHash } from 'node:crypto';
import { mkdirSync, rmSync } from 'node:fs';
import { createConnection, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

/**
 * @param dataDir any folder; the lock itself lies in the temporary folder, since a socket's path is limited to about 100 bytes
 * @returns the function that gives it back
 * @throws when another live process holds it
 */
export async function lockInstance(dataDir: string): Promise<() => Promise<void>> {
  const path = socketPath(dataDir);
  const server = (await listen(path)) ?? (await listenAfter(path, dataDir));
  server.unref();
  return () => new Promise((done) => server.close(() => done()));
}

async function listenAfter(path: string, dataDir: string): Promise<Server> {
  if (await isAnswered(path)) throw inUse(dataDir);
  rmSync(path, { force: true });
  const server = await listen(path);
  if (server === undefined) throw inUse(dataDir);
  return server;
}

const inUse = (dataDir: string): Error =>
  new Error(`another signalbox is running with the data folder ${resolve(dataDir)}: stop it, or choose another SIGNALBOX_DATA_DIR`);

function listen(path: string): Promise<Server | undefined> {
  return new Promise((done, fail) => {
    const server = createServer((socket) => socket.destroy());
    server.once('error', (error: NodeJS.ErrnoException) => (error.code === 'EADDRINUSE' ? done(undefined) : fail(error)));
    server.listen(path, () => done(server));
  });
}

function isAnswered(path: string): Promise<boolean> {
  return new Promise((done) => {
    const socket = createConnection(path);
    socket.once('connect', () => {
      socket.destroy();
      done(true);
    });
    socket.once('error', () => done(false));
  });
}

function socketPath(dataDir: string): string {
  const name = `signalbox-${createHash('sha256').update(resolve(dataDir)).digest('hex').slice(0, 16)}`;
  if (process.platform === 'win32') return `\\\\.\\pipe\\${name}`;
  mkdirSync(tmpdir(), { recursive: true });
  return join(tmpdir(), `${name}.sock`);
}
