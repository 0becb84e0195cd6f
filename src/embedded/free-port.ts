import { createConnection, createServer } from 'node:net';

/** A port that is free now: the first free one of `preferred`, else any. Another process may still take it first. */
export async function freePort(preferred: readonly number[] = [], host = '127.0.0.1'): Promise<number> {
  for (const port of preferred) if (await isFree(port, host)) return port;
  return await listenOnce(0, host);
}

async function isFree(port: number, host: string): Promise<boolean> {
  return await listenOnce(port, host).then(
    () => true,
    () => false,
  );
}

function listenOnce(port: number, host: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen({ port, host, exclusive: true }, () => {
      const address = server.address();
      server.close(() => (address !== null && typeof address === 'object' ? resolve(address.port) : reject(new Error('no port'))));
    });
  });
}

/** Whether somebody listens there. Binding would tell too, but would stand in the way of a server that is just about to. */
export function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection({ port, host: '127.0.0.1' });
    const answer = (listening: boolean): void => {
      socket.destroy();
      resolve(listening);
    };
    socket.once('connect', () => answer(true)).once('error', () => answer(false));
  });
}
