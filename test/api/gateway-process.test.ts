/** The gateway as a process: what it promises whoever starts and stops it. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { createTestDatabase, type TestDatabase } from '../support/postgres.js';
import { testTemporal } from '../support/temporal.js';

const ROOT = join(__dirname, '..', '..');
const KEY = `sbx_${'g'.repeat(24)}`;
let database: TestDatabase;
let temporalAddress: string;
const children: ChildProcess[] = [];

beforeAll(async () => {
  database = await createTestDatabase();
  temporalAddress = (await testTemporal()).address;
});
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
});
afterAll(() => database.drop());

interface Running {
  readonly child: ChildProcess;
  readonly output: () => string;
  readonly exit: Promise<number | null>;
}

function launch(env: Record<string, string> = {}): Running {
  const child = spawn(process.execPath, ['-r', join(ROOT, 'scripts/register.cjs'), join(ROOT, 'src/server.ts')], {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    env: {
      PATH: process.env['PATH'],
      PORT: '0',
      HOST: '127.0.0.1',
      LOG_FORMAT: 'json',
      SIGNALBOX_ROLE: 'gateway',
      DATABASE_URL: database.url,
      TEMPORAL_ADDRESS: temporalAddress,
      SIGNALBOX_BOOTSTRAP_KEY: KEY,
      SIGNALBOX_ENCRYPTION_KEY: Buffer.alloc(32, 1).toString('base64'),
      ...env,
    },
  });
  children.push(child);
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream?.on('data', (chunk: Buffer) => {
      output += chunk.toString();
    });
  const exit = once(child, 'exit').then(([code]) => code as number | null);
  return { child, output: () => output, exit };
}

async function ready(running: Running): Promise<string> {
  const message = await Promise.race([
    once(running.child, 'message').then(([each]) => each as { ready: boolean; url: string }),
    running.exit.then(() => undefined),
  ]);
  if (message?.ready !== true) throw new Error(`the gateway did not come up: ${running.output()}`);
  return message.url;
}
const authorized = { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' };

/** A stream that stays open: of an execution that no worker carries on. */
async function openStream(url: string): Promise<Response> {
  const data = { name: 'Waits', steps: [{ id: 'w', type: 'wait', duration: '1h' }] };
  const saved = (await (
    await fetch(`${url}/api/workflows/sync`, { method: 'POST', headers: authorized, body: JSON.stringify({ data }) })
  ).json()) as { workflow: { id: string } };
  const started = (await (
    await fetch(`${url}/api/workflows/${saved.workflow.id}/run`, { method: 'POST', headers: authorized, body: '{}' })
  ).json()) as { execution: { id: string } };
  return await fetch(`${url}/api/executions/${started.execution.id}/stream`, { headers: authorized });
}

describe('the gateway process', () => {
  it('says that it is ready, serves with the bootstrap key, and tells what it stands on', async () => {
    const url = await ready(launch());
    const [health, readiness, me, page, script] = await Promise.all([
      fetch(`${url}/healthz`),
      fetch(`${url}/readyz`),
      fetch(`${url}/api/me`, { headers: authorized }),
      fetch(`${url}/docs`),
      fetch(`${url}/docs/swagger-ui-bundle.js`),
    ]);
    expect([health.status, me.status, page.status, script.status]).toEqual([200, 200, 200, 200]);
    // Another test's worker may poll the same queue of this server: whether there is one is not ours to say.
    const told = (await readiness.json()) as { ready: boolean };
    expect(told).toEqual({
      ready: told.ready,
      postgres: { ok: true },
      temporal: { ok: true, address: temporalAddress, namespace: 'default' },
      worker: { ok: told.ready },
    });
    expect(readiness.status).toBe(told.ready ? 200 : 503);
    const html = await page.text();
    expect(
      [...html.matchAll(/(?:src|href)="([^"]+)"/g)].map((match) => match[1]).filter((link) => link?.startsWith('/') === false),
    ).toEqual(['data:,']);
  });

  it.each(['SIGTERM', 'SIGINT'] as const)('ends its streams and itself on %s', async (signal) => {
    const running = launch();
    const stream = await openStream(await ready(running));
    const text = stream.text();
    running.child.kill(signal);
    expect([await running.exit, (await text).includes('event: execution.started')]).toEqual([0, true]);
  });

  it('ends when whoever started it is gone', async () => {
    const running = launch();
    await ready(running);
    running.child.disconnect();
    expect(await running.exit).toBe(0);
  });

  it('says which port is taken and ends', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    const { port } = other.address() as AddressInfo;
    const running = launch({ PORT: String(port) });
    expect(await running.exit).toBe(1);
    expect(running.output()).toContain(`port ${port} on 127.0.0.1 is taken`);
    other.close();
  });

  it('says every fault of its environment and ends', async () => {
    const running = launch({ DATABASE_URL: 'nonsense', SIGNALBOX_RATE_LIMIT: 'many' });
    expect(await running.exit).toBe(1);
    expect(running.output()).toMatch(/DATABASE_URL[\s\S]*SIGNALBOX_RATE_LIMIT/);
  });

  it('limits the rate of one key', async () => {
    const url = await ready(launch({ SIGNALBOX_RATE_LIMIT: '5' }));
    const answers = await Promise.all(Array.from({ length: 8 }, () => fetch(`${url}/api/me`, { headers: authorized })));
    const refused = answers.filter((answer) => answer.status === 429);
    expect(refused.length).toBe(3);
    expect(Number(refused[0]?.headers.get('retry-after'))).toBeGreaterThan(0);
  });
});
