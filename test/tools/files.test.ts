import { execFileSync, spawn } from 'node:child_process';
import { mkdtemp, mkdir, readFile, rm, symlink, writeFile, truncate } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import * as fc from 'fast-check';
import type { Json } from '../../src/definition/value.js';
import { createFilesTools } from '../../src/tools/files/files-tools.js';
import { parseGlob } from '../../src/tools/files/glob.js';
import { pageOfLines } from '../../src/tools/files/lines.js';
import { toFault, toRelative } from '../../src/tools/files/workspace-path.js';
import { isWithin } from '../../src/tools/workspace/workspace-folder.js';
import { callerOf } from './support/tool-calls.js';
import { aWorkspaces, emptyWorkspace } from './support/workspaces.js';

type Answer = { readonly [name: string]: Json } & {
  content: string;
  entries: { path: string }[];
  matches: { path: string; line: number; text: string }[];
};

describe('files of the workspace', () => {
  let data: string;
  let workspace: string;
  let call: ReturnType<typeof callerOf>;
  const place = (...names: string[]) => path.join(workspace, ...names);
  beforeEach(async () => {
    data = await mkdtemp(path.join(tmpdir(), 'files-'));
    workspace = await emptyWorkspace(data, 'exe_1');
    await writeFile(path.join(data, 'secret.txt'), 'outside');
    call = callerOf(createFilesTools(aWorkspaces(data)));
  });
  afterEach(() => rm(data, { recursive: true, force: true, maxRetries: 5 }));

  it('writes, reads, edits and lists', async () => {
    expect(await call<Answer>('files:write', { path: 'src/deep/a.txt', content: 'one\ntwo\nthree\n' })).toEqual({
      path: 'src/deep/a.txt',
      bytes: 14,
      created: true,
    });
    expect(await call<Answer>('files:read', { path: './src//deep/a.txt', offset: 2, limit: 1 })).toEqual({
      path: './src//deep/a.txt',
      bytes: 14,
      content: 'two',
      fromLine: 2,
      toLine: 2,
      totalLines: 3,
      more: true,
    });
    expect(await call<Answer>('files:edit', { path: 'src/deep/a.txt', oldText: 'two', newText: '$& 2' })).toEqual({
      path: 'src/deep/a.txt',
      replaced: 1,
    });
    expect(await readFile(place('src/deep/a.txt'), 'utf8')).toBe('one\n$& 2\nthree\n');
    expect(await call<Answer>('files:write', { path: 'src/deep/a.txt', content: 'x' })).toMatchObject({ created: false });
    expect(await readFile(place('src/deep/a.txt'), 'utf8')).toBe('x');
    expect(await call<Answer>('files:list', { depth: 5 })).toEqual({
      entries: [
        { path: 'src', type: 'folder' },
        { path: 'src/deep', type: 'folder' },
        { path: 'src/deep/a.txt', type: 'file', bytes: 1 },
      ],
      complete: true,
    });
    expect(
      (await call<Answer>('files:list', { path: '/workspace/src', glob: '*.txt', depth: 2 })).entries.map((entry) => entry.path),
    ).toEqual(['src/deep/a.txt']);
  });

  it('shortens what an edit shortens, and refuses one that is unclear', async () => {
    await writeFile(place('a'), 'aa bb aa');
    await expect(call('files:edit', { path: 'a', oldText: 'aa', newText: '' })).rejects.toThrow('stands 2 times');
    await expect(call('files:edit', { path: 'a', oldText: 'zz', newText: '' })).rejects.toThrow('does not stand in a');
    await call('files:edit', { path: 'a', oldText: 'aa', newText: '', replaceAll: true });
    expect(await readFile(place('a'), 'utf8')).toBe(' bb ');
    await expect(call('files:edit', { path: 'none', oldText: 'a', newText: 'b' })).rejects.toThrow('is not there');
    expect((await call<Answer>('files:list', {})).entries.map((entry) => entry.path)).toEqual(['a']);
  });

  it.each([
    ['../secret.txt', 'lies outside of the workspace'],
    ['a/../../secret.txt', 'lies outside of the workspace'],
    ['/etc/passwd', 'is absolute'],
    ['/workspace/../../secret.txt', 'lies outside of the workspace'],
    ['link/secret.txt', 'leads outside of the workspace'],
    ['file-link', 'leads outside of the workspace'],
    ['a\0b', 'holds a NUL character'],
    ['x'.repeat(300), 'is too long'],
  ])('S6: reads, writes and edits nothing at %j', async (given, why) => {
    await symlink('../..', place('link'));
    await symlink('../../secret.txt', place('file-link'));
    for (const [id, more] of [
      ['files:read', {}],
      ['files:write', { content: 'escaped' }],
      ['files:edit', { oldText: 'outside', newText: 'escaped' }],
    ] as const)
      await expect(call(id, { path: given, ...more })).rejects.toMatchObject({
        code: 'tool_failed',
        message: expect.stringContaining(why),
      });
    expect(await readFile(path.join(data, 'secret.txt'), 'utf8')).toBe('outside');
  });

  it('S6: makes no folder outside, lists and searches none', async () => {
    await symlink('../..', place('link'));
    await expect(call('files:write', { path: 'link/new/deep/x', content: 'x' })).rejects.toThrow('leads outside');
    await expect(call('files:list', { path: 'link' })).rejects.toThrow('leads outside');
    await expect(call('files:grep', { path: 'link', pattern: 'outside' })).rejects.toThrow('leads outside');
    await expect(call('files:list', { path: '..' })).rejects.toThrow('lies outside');
    expect((await call<Answer>('files:grep', { pattern: 'outside' })).matches).toEqual([]);
    expect(await call<Answer>('files:list', { depth: 9 })).toMatchObject({ entries: [{ path: 'link', type: 'link' }] });
    expect((await call<Answer>('files:list', {}, { executionId: 'exe_2' })).entries).toEqual([]);
  });

  it('S6: is not led out by links that come and go while it opens', async () => {
    await writeFile(place('inside'), 'inside');
    const flip = 'while :; do mkdir d; cp inside d/secret.txt; rm -r d; ln -s ../.. d; rm d; done';
    const flipping = spawn('sh', ['-c', flip], { cwd: workspace, stdio: 'ignore' });
    const seen = new Set<string>();
    try {
      for (const until = Date.now() + 1_500; Date.now() < until; ) {
        const read = await call<Answer>('files:read', { path: 'd/secret.txt' }).catch(() => undefined);
        if (read !== undefined) seen.add(read.content);
        await call('files:write', { path: 'd/secret.txt', content: 'escaped' }).catch(() => undefined);
      }
    } finally {
      flipping.kill('SIGKILL');
    }
    expect(await readFile(path.join(data, 'secret.txt'), 'utf8')).toBe('outside');
    expect([...seen].filter((content) => content === 'outside')).toEqual([]);
  });

  it('follows links that stay inside, for reading and for writing', async () => {
    await mkdir(place('real'));
    await symlink('real', place('folder'));
    await writeFile(place('real', 'a'), 'old');
    await symlink('real/a', place('file'));
    await call('files:write', { path: 'file', content: 'new' });
    expect((await call<Answer>('files:read', { path: 'folder/a' })).content).toBe('new');
    await symlink('nowhere', place('dangling'));
    await expect(call('files:write', { path: 'dangling', content: 'x' })).rejects.toThrow('is not there');
  });

  it('waits for no pipe, and reads no folder or device', async () => {
    execFileSync('sh', ['-c', 'mkfifo "$1"', 'sh', place('pipe')]);
    await expect(call('files:read', { path: 'pipe' })).rejects.toThrow('is no regular file');
    await expect(call('files:write', { path: 'pipe', content: 'x' })).rejects.toThrow('is no regular file');
    await mkdir(place('folder'));
    await expect(call('files:read', { path: 'folder' })).rejects.toThrow('is a folder');
    await expect(call('files:write', { path: 'folder', content: 'x' })).rejects.toThrow('is a folder');
    await expect(call('files:write', { path: 'pipe/x', content: 'x' })).rejects.toThrow('no folder');
    await expect(call('files:write', { path: '.', content: 'x' })).rejects.toThrow('is the workspace itself');
  });

  it('says nothing of the host’s own places when the file system is at fault', async () => {
    await writeFile(place('file'), 'x');
    for (const [id, params] of [
      ['files:write', { path: `${'d/'.repeat(600)}x`, content: '' }],
      ['files:read', { path: 'file/below' }],
      ['files:list', { path: 'file' }],
      ['files:grep', { path: 'none', pattern: 'x' }],
    ] as const) {
      const fault = await call(id, params).then(
        () => new Error('no fault'),
        (error: unknown) => error as Error,
      );
      expect(fault).toMatchObject({ code: 'tool_failed' });
      expect(fault.message).not.toContain(data);
    }
    const full = Object.assign(new Error(`ENOSPC: no space left on device, open '${data}/x'`), { code: 'ENOSPC', syscall: 'open' });
    expect(toFault('a', full)).toMatchObject({ code: 'tool_failed', message: 'Path "a" cannot be used: ENOSPC' });
    const bug = new TypeError('x is not a function');
    expect(toFault('a', bug)).toBe(bug);
  });

  it('tells binary files, and what is too large', async () => {
    await writeFile(place('nul'), Buffer.from([65, 0, 66]));
    await writeFile(place('latin1'), Buffer.from([0xe9, 0x41]));
    for (const name of ['nul', 'latin1'])
      expect(await call<Answer>('files:read', { path: name })).toMatchObject({ binary: true, content: null });
    await writeFile(place('big'), 'start\n');
    await truncate(place('big'), 200 * 1024 * 1024);
    expect(await call<Answer>('files:read', { path: 'big' })).toMatchObject({ binary: true, bytes: 200 * 1024 * 1024 });
    await writeFile(place('long'), 'y'.repeat(9 * 1024 * 1024));
    const answer = await call<Answer>('files:read', { path: 'long' });
    expect(answer.content.length).toBeLessThan(25_000);
    expect(answer['note']).toContain('Only the first');
    await expect(call('files:edit', { path: 'long', oldText: 'yy', newText: '' })).rejects.toThrow('too large to edit');
    await expect(call('files:write', { path: 'x', content: 'x'.repeat(1024 * 1024 + 1) })).rejects.toThrow('do not fit');
  });

  it('finds lines by an expression, in files that a glob names, and says where it stopped', async () => {
    await mkdir(place('src/.git'), { recursive: true });
    await writeFile(place('src/a.ts'), 'const one = 1;\r\nconst Two = 2;\n');
    await writeFile(place('src/b.md'), '# one');
    await writeFile(place('src/.git/config'), 'one');
    await writeFile(place('bin'), Buffer.from('one\0'));
    expect((await call<Answer>('files:grep', { pattern: 'one' })).matches).toEqual([
      { path: 'src/a.ts', line: 1, text: 'const one = 1;' },
      { path: 'src/b.md', line: 1, text: '# one' },
    ]);
    expect((await call<Answer>('files:grep', { pattern: '^const tw.*;$', glob: '**/*.ts', ignoreCase: true })).matches).toEqual([
      { path: 'src/a.ts', line: 2, text: 'const Two = 2;' },
    ]);
    expect((await call<Answer>('files:grep', { pattern: 'one', path: 'src/b.md' })).matches).toHaveLength(1);
    expect(await call<Answer>('files:grep', { pattern: 'o', maxMatches: 2 })).toMatchObject({ complete: false, stoppedBy: 'matches' });
    await expect(call('files:grep', { pattern: '(' })).rejects.toThrow("not RE2's");
  });

  it('X10: searches in linear time, lets others run meanwhile, and lets go when aborted', async () => {
    for (const name of ['1', '2', '3', '4', '5', '6', '7', '8']) await writeFile(place(name), `${'a'.repeat(9_000)}\n`.repeat(200));
    const stop = new AbortController();
    setTimeout(() => stop.abort(new Error('stop')), 50);
    await expect(call('files:grep', { pattern: '(a+)+[b-z]+$' }, { signal: stop.signal })).rejects.toThrow('stop');
  });

  it('says where it can be called when there is no workspace', async () => {
    await expect(call('files:read', { path: 'a' }, { executionId: null, sessionId: null })).rejects.toThrow(
      'call it from a step or an agent',
    );
    const gateway = callerOf(createFilesTools(undefined));
    await expect(gateway('files:read', { path: 'a' })).rejects.toThrow('where the run’s workspace is');
  });
});

describe('paths', () => {
  it('stay below the workspace, whatever they are', () => {
    const part = fc.oneof(fc.constantFrom('..', '.', '', 'a', '...', '~', '\\', 'workspace'), fc.string({ maxLength: 5 }));
    fc.assert(
      fc.property(fc.array(part, { maxLength: 8 }), fc.boolean(), (parts, isAbsolute) => {
        const given = (isAbsolute ? '/' : '') + parts.join('/');
        let relative: string;
        try {
          relative = toRelative(given);
        } catch {
          return;
        }
        expect(isWithin('/data/w', path.resolve('/data/w', relative))).toBe(true);
      }),
      { numRuns: 2_000 },
    );
  });

  it.each([
    ['', ''],
    ['.', ''],
    ['a/./b/', 'a/b'],
    ['a/../b', 'b'],
    ['/workspace', ''],
    ['/workspace/a', 'a'],
    ['..a/b', '..a/b'],
  ])('%j is %j', (given, relative) => expect(toRelative(given)).toBe(relative));
});

describe('glob', () => {
  it.each([
    ['*.ts', 'src/a.ts', true],
    ['*.ts', 'src/a.tsx', false],
    ['src/*.ts', 'src/deep/a.ts', false],
    ['src/**/*.ts', 'src/a.ts', true],
    ['src/**/*.ts', 'src/x/y/a.ts', true],
    ['**', 'a/b', true],
    ['*.{ts,md}', 'x.md', true],
    ['a?c', 'abc', true],
    ['a.c', 'abc', false],
    ['[ab](c)+', '[ab](c)+', true],
    ['{', '{', true],
  ])('%s and %s: %s', (glob, relative, fits) => expect(parseGlob(glob)(relative)).toBe(fits));
});

describe('a page of lines', () => {
  it('knows the last line from an empty one', () => {
    expect(pageOfLines('a\nb\n', 1, 10)).toMatchObject({ content: 'a\nb', totalLines: 2, more: false });
    expect(pageOfLines('', 1, 10)).toMatchObject({ content: '', totalLines: 0, toLine: 0, more: false });
    expect(pageOfLines('a', 5, 10)).toMatchObject({ content: '', toLine: 4, more: false });
  });
  it('stops before an answer becomes too large, and cuts a line that is too large alone', () => {
    const page = pageOfLines(`${'x'.repeat(20_000)}\n${'y'.repeat(20_000)}\n`, 1, 10);
    expect([page.toLine, page.more]).toEqual([1, true]);
    expect(pageOfLines('z'.repeat(50_000), 1, 10).content).toContain('[line cut: 26000 more characters]');
  });
});
