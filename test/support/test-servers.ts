/**
 * A process of its own that owns the servers of one test run and starts each when the first test file asks:
 * GET /postgres, GET /temporal. It ends, and stops them, when the run that spawned it is gone, however that ended.
 */
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startPostgres } from '../../src/embedded/postgres.js';
import { startTemporal } from '../../src/embedded/temporal.js';

const folder = mkdtempSync(join(tmpdir(), 'signalbox-test-'));
// As root the database runs as another account, which must be able to pass through.
chmodSync(folder, 0o755);
const log = (line: string): void => console.error(`[test servers] ${line}`);
const closers: (() => Promise<void>)[] = [];

const once = <T extends { stop(): Promise<void> }>(start: () => Promise<T>): (() => Promise<T>) => {
  let started: Promise<T> | undefined;
  return () => {
    started ??= start().then((server) => {
      closers.push(() => server.stop());
      return server;
    });
    return started;
  };
};
const postgres = once(() => startPostgres({ dir: join(folder, 'postgres'), durable: false, log }));
const temporal = once(() =>
  startTemporal({
    dir: join(folder, 'temporal'),
    ui: false,
    // Otherwise a run that hands over within its first second is held until it is one second old.
    dynamicConfig: { 'history.workflowIdReuseMinimalInterval': '0s' },
    log,
  }),
);

const answers: Record<string, () => Promise<object>> = {
  '/postgres': async () => ({ url: (await postgres()).url }),
  '/temporal': async () => ({ address: (await temporal()).address }),
};

const server = createServer((request, response) => {
  const answer = answers[request.url ?? ''];
  // Kept alive, a connection could be closed here while a busy asker is about to use it once more.
  const reply = (status: number, body: object): void => void response.writeHead(status, { connection: 'close' }).end(JSON.stringify(body));
  if (answer === undefined) return reply(404, { error: `no server ${request.url ?? ''}` });
  answer().then(
    (body) => reply(200, body),
    (error: unknown) => reply(500, { error: String(error instanceof Error ? error.message : error) }),
  );
});
server.listen(0, '127.0.0.1', () => process.send?.({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }));

async function close(): Promise<void> {
  server.close();
  await Promise.allSettled(closers.map((stop) => stop()));
  rmSync(folder, { recursive: true, force: true });
  process.exit(0);
}
process.once('disconnect', () => void close());
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => {}); // the run that spawned us decides
