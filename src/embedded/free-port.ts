import { createServer } from 'node:net';

/** A port of 127.0.0.1 that is free now: the first free one of `preferred`, else any. Another process may still take it first. */
export async function freePort(preferred: readonly number[] = []): Promise<number> {
  for (const port of preferred) if (await isFree(port)) return port;
  return await listenOnce(0);
}

export async function isFree(port: number): Promise<boolean> {
  return await listenOnce(port).then(
    () => true,
    () => false,
  );
}

function listenOnce(port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => {
      const address = server.address();
      server.close(() => (address !== null && typeof address === 'object' ? resolve(address.port) : reject(new Error('no port'))));
    });
  });
}
