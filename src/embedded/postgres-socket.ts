/** The database's socket among its files: a query by it costs half of what TCP costs the two processes. TCP stays for whoever wants it. */
import { readdirSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';

/** Addresses of sockets are at most so long: 104 bytes with their end on macOS, 108 on Linux. */
const PATH_BYTES = 103;
const SOCKET_FILE = /^\.s\.PGSQL\./;

/**
 * Whether there may be one in the folder. Nobody but the server's account passes into it, and the password is asked for all the same. The
 * server's setting is a list, in which some paths cannot be said.
 */
export function mayHaveSocket(data: string, platform: NodeJS.Platform = process.platform): boolean {
  if (platform === 'win32' || /[",@]|^\s|\s$/.test(data)) return false;
  return Buffer.byteLength(join(data, '.s.PGSQL.65535')) <= PATH_BYTES;
}

/** What a URL says to go there instead of to its host, as pg, Prisma and psql understand it; nothing where we may not connect. */
export async function socketQuery(data: string, port: number): Promise<string> {
  const isOpen = await new Promise<boolean>((resolve) => {
    const socket = connect(join(data, `.s.PGSQL.${port}`), () => resolve(true)).on('error', () => resolve(false));
    socket.unref().on('connect', () => socket.destroy());
  });
  return isOpen ? `?host=${encodeURIComponent(data)}` : '';
}

/** A folder that nobody serves: a killed server leaves its socket's lock, with a pid that may be anybody's by now. */
export function removeSockets(data: string): void {
  for (const name of readdirSync(data)) if (SOCKET_FILE.test(name)) rmSync(join(data, name), { force: true });
}

/** Whether a start failed by it: some file systems have none. */
export const failedBySocket = (log: string): boolean => /Unix[- ]|\.s\.PGSQL\./.test(log);
