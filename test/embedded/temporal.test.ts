import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client, Connection } from '@temporalio/client';
import { isAlive } from '../../src/embedded/running-process.js';
import { ensureSearchAttributes } from '../../src/embedded/search-attributes.js';
import { type EmbeddedTemporal, startTemporal } from '../../src/embedded/temporal.js';
import { runProgram } from './run-program.js';
import { removeTemporaryFolders, temporaryFolder } from './temporary-folder.js';

const opened: EmbeddedTemporal[] = [];
const start = async (dir: string, more: { preferredPorts?: number[]; log?: (line: string) => void } = {}): Promise<EmbeddedTemporal> => {
  const server = await startTemporal({ dir, ui: false, ...more });
  opened.push(server);
  return server;
};

async function withClient<T>(address: string, use: (client: Client) => Promise<T>): Promise<T> {
  const connection = await Connection.connect({ address, connectTimeout: '5s' });
  try {
    return await use(new Client({ connection }));
  } finally {
    await connection.close();
  }
}

/** No worker takes it: it stays open, and is there again or lost. */
const startSomeWorkflow = (address: string, workflowId: string): Promise<unknown> =>
  withClient(address, (client) => client.workflow.start('anything', { workflowId, taskQueue: 'nobody' }));

const statusOf = (address: string, workflowId: string): Promise<string> =>
  withClient(address, async (client) => (await client.workflow.getHandle(workflowId).describe()).status.name);

async function whenBack<T>(ask: () => Promise<T>): Promise<T> {
  for (let tries = 0; ; tries += 1) {
    try {
      return await ask();
    } catch (error) {
      if (tries > 100) throw error;
      await sleep(50); // nothing announces it to a client: it tries again
    }
  }
}

afterEach(async () => {
  await Promise.all(opened.splice(0).map((server) => server.stop()));
  removeTemporaryFolders();
});

describe('embedded Temporal', () => {
  it('keeps open workflows when it is killed, and comes back on the same address by itself', async () => {
    const server = await start(temporaryFolder());
    await startSomeWorkflow(server.address, 'kept');
    const killed = server.pid() ?? 0;
    process.kill(killed, 'SIGKILL');
    expect(await whenBack(() => statusOf(server.address, 'kept'))).toBe('RUNNING');
    expect(server.pid()).not.toBe(killed);
  });

  it('finds its workflows again after an orderly stop', async () => {
    const dir = temporaryFolder();
    const first = await start(dir);
    await startSomeWorkflow(first.address, 'kept');
    await first.stop();
    const second = await start(dir, { preferredPorts: [first.port] });
    expect(second.address).toBe(first.address);
    expect(await statusOf(second.address, 'kept')).toBe('RUNNING');
  });

  it('chooses another port when the preferred one is taken', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await new Promise((done) => other.once('listening', done));
    const taken = (other.address() as AddressInfo).port;
    const server = await start(temporaryFolder(), { preferredPorts: [taken] });
    other.close();
    expect(server.port).not.toBe(taken);
    expect(await withClient(server.address, (client) => client.workflowService.getSystemInfo({}))).toBeDefined();
  });

  it('takes the place of the server that a killed run left behind on the same file', async () => {
    const dir = temporaryFolder();
    const program = runProgram('temporal-program', [dir]);
    const [, address = '', pid] = await program.printed(/SERVES (\S+) (\d+)/);
    await startSomeWorkflow(address, 'kept');
    program.child.kill('SIGKILL');
    await program.exited();
    expect(isAlive(Number(pid))).toBe(true);
    const lines: string[] = [];
    const server = await start(dir, { log: (line) => lines.push(line) });
    expect(lines).toContainEqual(expect.stringContaining(`left behind (pid ${pid})`));
    expect(isAlive(Number(pid))).toBe(false);
    expect(await statusOf(server.address, 'kept')).toBe('RUNNING');
  });

  it('knows our search attributes, in its own namespace and in one that is registered later', async () => {
    const server = await start(temporaryFolder());
    const lines: string[] = [];
    await ensureSearchAttributes(server.address, 'default', (line) => lines.push(line));
    expect(lines).toEqual([]);
    await withClient(server.address, (client) =>
      client.workflowService.registerNamespace({ namespace: 'later', workflowExecutionRetentionPeriod: { seconds: 86_400 as never } }),
    );
    await whenBack(() => ensureSearchAttributes(server.address, 'later', (line) => lines.push(line)));
    const { customAttributes } = await withClient(server.address, (client) =>
      client.connection.operatorService.listSearchAttributes({ namespace: 'later' }),
    );
    expect(Object.keys(customAttributes)).toEqual(
      expect.arrayContaining(['SignalboxOwner', 'SignalboxStatus', 'SignalboxTrigger', 'SignalboxWorkflow']),
    );
  });
});
