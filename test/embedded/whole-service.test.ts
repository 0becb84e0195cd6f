import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isAlive } from '../../src/embedded/running-process.js';
import { type Program, runProgram } from './run-program.js';
import { removeTemporaryFolders, temporaryFolder } from './temporary-folder.js';

const running: Program[] = [];

interface Run {
  readonly folder: string;
  readonly program: Program;
  readonly journal: () => string;
}

function run(folder = temporaryFolder()): Run {
  const journalFile = join(folder, 'journal');
  const examples = join(folder, 'examples');
  mkdirSync(examples, { recursive: true });
  writeFileSync(join(examples, 'hello.json'), JSON.stringify({ name: 'Hello', steps: [] }));
  writeFileSync(journalFile, '');
  const program = runProgram('whole-service-program', [examples], {
    SIGNALBOX_DATA_DIR: join(folder, 'data'),
    PORT: '0',
    FAKE_JOURNAL: journalFile,
    LOG_FORMAT: 'json',
  });
  running.push(program);
  return { folder, program, journal: () => readFileSync(journalFile, 'utf8') };
}

const ready = (program: Program): Promise<string> => program.printed(/Signalbox is ready: (\S+)/).then(([, url = '']) => url);

async function until(claim: () => boolean): Promise<void> {
  for (let tries = 0; !claim(); tries += 1) {
    if (tries > 400) throw new Error(`never: ${claim.toString()}`);
    await sleep(25); // other processes: nothing to await
  }
}

const pidsIn = ({ folder }: Run): number[] => [
  Number(readFileSync(join(folder, 'data/postgres/data/postmaster.pid'), 'utf8').split('\n')[0]),
  Number(readFileSync(join(folder, 'data/temporal/temporal.pid'), 'utf8')),
];

afterEach(async () => {
  for (const { child, exited } of running.splice(0)) {
    child.kill('SIGTERM');
    await exited();
  }
  removeTemporaryFolders();
});

describe('npm start', () => {
  it('starts everything, shows the first key once, and stops in order on SIGTERM', async () => {
    const first = run();
    const url = await ready(first.program);
    expect((await fetch(`${url}/readyz`)).status).toBe(200);
    expect(first.program.output()).toMatch(/Temporal UI: +http:/);
    const key = first.program.output().match(/First API key: +(sbx_[a-z0-9]+)/)?.[1];
    const pids = pidsIn(first);
    first.program.child.kill('SIGTERM');
    expect(await first.program.exited()).toBe(0);
    expect(pids.map(isAlive)).toEqual([false, false]);
    expect(first.journal().match(/^\w+ (stopped|orphaned)$/gm)).toEqual(['gateway stopped', 'worker stopped']);

    const second = run(first.folder);
    await ready(second.program);
    expect(second.program.output()).not.toContain(key ?? 'no key');
    expect(readFileSync(join(first.folder, 'data/bootstrap-key'), 'utf8').trim()).toBe(key);
  }, 60_000);

  it('keeps its generated keys in files of its user only, and gives them to gateway and worker', async () => {
    const one = run();
    await ready(one.program);
    const modes = ['encryption-key', 'bootstrap-key'].map((name) => statSync(join(one.folder, 'data', name)).mode & 0o777);
    expect(modes).toEqual([0o600, 0o600]);
    expect(one.journal()).toMatch(/worker started pid=\d+ key=44 database=true/);
    expect(one.journal()).toMatch(/gateway started pid=\d+ key=44 database=true/);
  });

  it('loads an example once, also over several starts', async () => {
    const first = run();
    await ready(first.program);
    expect(first.journal()).toContain('gateway synced Hello true');
    first.program.child.kill('SIGTERM');
    await first.program.exited();
    const second = run(first.folder);
    await ready(second.program);
    expect(second.journal()).not.toContain('synced');
  }, 60_000);

  it('starts the gateway again when it dies', async () => {
    const one = run();
    const url = await ready(one.program);
    await fetch(`${url}/die`).catch(() => {});
    await until(() => (one.journal().match(/gateway started/g) ?? []).length === 2);
    await one.program.printed(/the gateway is back/);
    expect((await fetch(`${url}/readyz`)).status).toBe(200);
  });

  it('recovers from a SIGKILL: its children notice and end, its servers are taken over, its port and data are the same', async () => {
    const first = run();
    await ready(first.program);
    const pids = pidsIn(first);
    const ports = readFileSync(join(first.folder, 'data/ports.json'), 'utf8');
    first.program.child.kill('SIGKILL');
    await first.program.exited();
    await until(() => (first.journal().match(/orphaned/g) ?? []).length === 2);
    expect(pids.map(isAlive)).toEqual([true, true]);

    const second = run(first.folder);
    await ready(second.program);
    expect(pids.map(isAlive)).toEqual([false, false]);
    expect(readFileSync(join(first.folder, 'data/ports.json'), 'utf8')).toBe(ports);
  }, 60_000);

  it('stops cleanly when every process of it gets the signal at once', async () => {
    const first = run();
    await ready(first.program);
    const children = [...first.journal().matchAll(/started pid=(\d+)/g)].map(([, pid]) => Number(pid));
    for (const pid of [...children, ...pidsIn(first), first.program.child.pid ?? 0]) process.kill(pid, 'SIGTERM');
    expect(await first.program.exited()).toBe(0);
    expect(first.program.output()).not.toContain('starting it again');
    expect(existsSync(join(first.folder, 'data/postgres/data/postmaster.pid'))).toBe(false);
  });

  it('stops when it is told while it is still starting', async () => {
    const one = run();
    await one.program.printed(/starting PostgreSQL/);
    one.program.child.kill('SIGINT');
    expect(await one.program.exited()).toBe(0);
    expect(one.program.output()).not.toContain('Signalbox is ready');
  });

  it('takes a signal that comes twice at once for one, as npm repeats it', async () => {
    const one = run();
    await ready(one.program);
    one.program.child.kill('SIGINT');
    one.program.child.kill('SIGINT');
    expect(await one.program.exited()).toBe(0);
    expect(one.journal()).toContain('worker stopped');
  });

  it('refuses a second service on the same data folder and leaves the first alone', async () => {
    const first = run();
    const url = await ready(first.program);
    const second = run(first.folder);
    expect(await second.program.exited()).toBe(1);
    expect(second.program.output()).toMatch(/another signalbox is running/);
    expect((await fetch(`${url}/readyz`)).status).toBe(200);
  });
});
