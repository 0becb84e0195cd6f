import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, readdir, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { once } from 'node:events';
import { runShell, type ShellRequest } from '../../src/tools/shell/run-shell.js';
import { DEFAULT_SHELL_LIMITS, shellArguments } from '../../src/tools/shell/shell-mode.js';
import { insideWorkspace } from '../../src/tools/workspace/workspace-folder.js';
import { emptyWorkspace } from './support/workspaces.js';

describe('runShell', () => {
  let workspace: string;
  beforeEach(async () => {
    workspace = await emptyWorkspace(await mkdtemp(path.join(tmpdir(), 'shell-')), 'exe_1-2026-11-23T02:00:00Z');
  });
  afterEach(() => rm(path.dirname(path.dirname(workspace)), { recursive: true }));
  const run = (command: string, overrides: Partial<ShellRequest> = {}) =>
    runShell({
      mode: 'plain',
      command,
      workspace,
      cwd: workspace,
      env: { PATH: process.env['PATH'] ?? '', HOME: workspace, LANG: 'C.UTF-8' },
      hostPath: process.env['PATH'] ?? '',
      timeoutMs: 10_000,
      limits: DEFAULT_SHELL_LIMITS,
      signal: new AbortController().signal,
      redact: (text) => text,
      ...overrides,
    });

  /** Processes whose command line has the marker. */
  async function alive(marker: string): Promise<number> {
    let found = 0;
    for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
      const line = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
      if (line.includes(marker) && !line.includes('jest')) found++;
    }
    return found;
  }
  async function untilGone(marker: string): Promise<void> {
    for (const end = Date.now() + 2_000; Date.now() < end; ) {
      if ((await alive(marker)) === 0) return;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    throw new Error(`${marker} is still there`);
  }

  it('gives exit code, both streams and the duration', async () => {
    expect(await run('echo out; echo err >&2; exit 3')).toEqual({
      exitCode: 3,
      stdout: 'out\n',
      stderr: 'err\n',
      durationMs: expect.any(Number) as number,
    });
  });
  it('says 128 + n when a signal ended the command', async () => {
    expect(await run('kill -TERM $$')).toMatchObject({ exitCode: 143 });
  });
  it('has a clean environment and no hold of the lifeline', async () => {
    process.env['SERVICE_SECRET'] = 'hunter2';
    const { stdout } = await run('env; [ -e /proc/$$/fd/3 ] && echo lifeline=open', {
      env: { PATH: process.env['PATH'] ?? '', SIGNALBOX_TPL_1: '$(touch x)' },
    });
    delete process.env['SERVICE_SECRET'];
    expect(stdout).not.toContain('hunter2');
    expect(
      stdout
        .split('\n')
        .map((line) => line.split('=')[0] ?? '')
        .toSorted((a, b) => (a < b ? -1 : 1)),
    ).toEqual(['', 'PATH', 'PWD', 'SHLVL', 'SIGNALBOX_TPL_1', '_']);
  });
  it('S6: a value with shell text in it stays data', async () => {
    const { stdout } = await run('echo "${SIGNALBOX_TPL_1}"; ls', {
      env: { PATH: process.env['PATH'] ?? '', SIGNALBOX_TPL_1: '$(touch x); `touch y`' },
    });
    expect(stdout).toBe('$(touch x); `touch y`\n');
  });
  it('L41: cuts a stream at 64,000 characters with a marker, after redaction', async () => {
    const { stdout } = await run(`head -c 63998 /dev/zero | tr '\\0' a; echo -n hunter2; head -c 6000 /dev/zero | tr '\\0' b`, {
      redact: (text) => text.replaceAll('hunter2', '[s]'),
    });
    expect(stdout.slice(0, 64_000)).toBe(`${'a'.repeat(63_998)}[s`);
    expect(stdout.slice(64_000)).toBe('\n[output cut: 6001 more characters]');
  });
  it('keeps memory flat under endless output', async () => {
    const { stdout } = await run('head -c 200000000 /dev/zero');
    expect(stdout.length).toBeLessThan(64_100);
  });
  it('L41: bash_timeout ends the whole group, background processes included', async () => {
    const startedAt = Date.now();
    await expect(run('echo before; sleep 30.4101 & sleep 30.4102', { timeoutMs: 300 })).rejects.toMatchObject({
      code: 'bash_timeout',
      retryable: true,
      details: { stdout: 'before\n' },
    });
    expect(Date.now() - startedAt).toBeLessThan(2_000);
    await untilGone('30.410');
  });
  it('kills what ignores SIGTERM', async () => {
    await expect(run(`trap '' TERM; sleep 30.42 & wait; sleep 30.42`, { timeoutMs: 200 })).rejects.toMatchObject({ code: 'bash_timeout' });
    await untilGone('30.42');
  });
  it('does not wait for, and does not leave behind, what the command put in the background', async () => {
    const startedAt = Date.now();
    expect(await run('sleep 30.43 & echo done')).toMatchObject({ exitCode: 0, stdout: 'done\n' });
    expect(Date.now() - startedAt).toBeLessThan(2_000);
    await untilGone('30.43');
  });
  it('D9: an abort ends the group within 2 s and rejects with its reason', async () => {
    const cancel = new AbortController();
    const running = run('sleep 30.44', { signal: cancel.signal });
    setTimeout(() => cancel.abort(new Error('cancelled')), 100);
    await expect(running).rejects.toThrow('cancelled');
    await untilGone('30.44');
  });
  it('D21: no process of the group outlives the worker that is killed', async () => {
    const script = `require('./src/tools/shell/run-shell.ts').runShell({ mode: 'plain', command: 'sleep 30.45 & sleep 30.45', workspace: '/tmp', cwd: '/tmp',
      env: { PATH: process.env.PATH }, timeoutMs: 60000, limits: { cpuSeconds: 10, memoryKib: 1000000, fileKib: 1000 }, signal: new AbortController().signal, redact: (t) => t })`;
    const worker = spawn(process.execPath, ['-r', './scripts/register.cjs', '-e', script], { stdio: 'inherit' });
    while ((await alive('30.45')) < 3) await new Promise((resolve) => setTimeout(resolve, 50));
    worker.kill('SIGKILL');
    await once(worker, 'exit');
    await untilGone('sleep\u000030.45');
  });
  it('limits memory without keeping a runtime from starting', async () => {
    const limits = { ...DEFAULT_SHELL_LIMITS, memoryKib: 512 * 1024 };
    expect(await run(`node -e 'console.log(new WebAssembly.Memory({ initial: 1 }).buffer.byteLength)'`, { limits })).toMatchObject({
      exitCode: 0,
      stdout: '65536\n',
    });
    expect(
      (await run(`node --max-old-space-size=8000 -e 'const a = []; for (;;) a.push(Buffer.alloc(64e6, 1))'`, { limits })).exitCode,
    ).not.toBe(0);
  });
  it('limits processor time', async () => {
    expect((await run('while :; do :; done', { limits: { ...DEFAULT_SHELL_LIMITS, cpuSeconds: 1 } })).exitCode).toBe(137);
  });
});

describe('workspace', () => {
  it('keeps cwd inside, also through links', async () => {
    const data = await mkdtemp(path.join(tmpdir(), 'shell-'));
    const workspace = await emptyWorkspace(data, 'exe_1');
    await runShell({
      mode: 'plain',
      command: 'mkdir -p a/b; ln -s / out',
      workspace,
      cwd: workspace,
      env: { PATH: process.env['PATH'] ?? '' },
      hostPath: process.env['PATH'] ?? '',
      timeoutMs: 5_000,
      limits: DEFAULT_SHELL_LIMITS,
      signal: new AbortController().signal,
      redact: (t) => t,
    });
    expect(await insideWorkspace(workspace, 'a/b')).toBe(path.join(workspace, 'a/b'));
    for (const cwd of ['..', '/etc', 'out/etc', 'missing', '../exe_10'])
      await expect(insideWorkspace(workspace, cwd)).rejects.toMatchObject({ code: 'tool_failed' });
    await rm(data, { recursive: true });
  });
});

describe('bubblewrap', () => {
  it('is bash_disabled where bwrap is not installed', async () => {
    const request = {
      mode: 'bubblewrap' as const,
      command: 'ls',
      workspace: '/tmp',
      cwd: '/tmp',
      env: { PATH: process.env['PATH'] ?? '' },
      hostPath: '/nowhere',
      timeoutMs: 1_000,
      limits: DEFAULT_SHELL_LIMITS,
      signal: new AbortController().signal,
      redact: (t: string) => t,
    };
    await expect(runShell(request)).rejects.toMatchObject({ code: 'bash_disabled' });
  });
  it('S6: has the step’s variables inside alone: what starts the sandbox obeys none of them', async () => {
    const folder = await mkdtemp(path.join(tmpdir(), 'bwrap-'));
    await writeFile(path.join(folder, 'bwrap'), '#!/bin/sh\nenv\necho ---\ntr "\\0" "\\n" <&4\n', { mode: 0o755 });
    const { stdout } = await sandboxed('ls', {
      hostPath: `${folder}:/usr/bin:/bin`,
      env: { PATH: '.:/evil', LD_PRELOAD: './evil.so', BASH_ENV: './evil', TOKEN: 'a\nb' },
    });
    const [outside = '', inside = ''] = stdout.split('---\n');
    expect(outside).toContain(`PATH=${folder}:/usr/bin:/bin`);
    expect(outside).not.toMatch(/evil|TOKEN/);
    expect(inside).toBe('--setenv\nPATH\n.:/evil\n--setenv\nLD_PRELOAD\n./evil.so\n--setenv\nBASH_ENV\n./evil\n--setenv\nTOKEN\na\nb\n');
    await rm(folder, { recursive: true });
  });

  const isInstalled = (process.env['PATH'] ?? '').split(':').some((folder) => existsSync(path.join(folder, 'bwrap')));
  (isInstalled ? it : it.skip)('S6: runs a command that sees its workspace and variables, and neither host nor network', async () => {
    const script =
      'pwd; echo "$GIVEN $HOME"; echo kept > kept; ls -d /data /root /home /work 2>/dev/null; ps ax 2>/dev/null | wc -l; cat /proc/net/dev | grep -c eth';
    const { stdout, exitCode } = await sandboxed(`${script}; exit 7`, {
      env: { PATH: '/usr/bin:/bin', HOME: '/workspace', GIVEN: 'it is "quoted"' },
    });
    expect(exitCode).toBe(7);
    expect(stdout.split('\n').slice(0, 2)).toEqual(['/workspace', 'it is "quoted" /workspace']);
    expect(stdout).not.toMatch(/\/(data|root|home|work)\n/);
    expect(stdout.trim().endsWith('0')).toBe(true);
  });

  async function sandboxed(command: string, overrides: Partial<ShellRequest>) {
    const data = await mkdtemp(path.join(tmpdir(), 'shell-'));
    try {
      const workspace = await emptyWorkspace(data, 'exe_1');
      return await runShell({
        mode: 'bubblewrap',
        command,
        workspace,
        cwd: workspace,
        env: {},
        hostPath: process.env['PATH'] ?? '',
        timeoutMs: 10_000,
        limits: DEFAULT_SHELL_LIMITS,
        signal: new AbortController().signal,
        redact: (text) => text,
        ...overrides,
      });
    } finally {
      await rm(data, { recursive: true });
    }
  }

  it('shares neither network nor data directory, and shows the workspace under a name of its own', () => {
    const args = shellArguments('bubblewrap', { workspace: '/data/workspaces/exe_1', cwd: '/data/workspaces/exe_1/sub', command: 'ls' });
    expect(args).toEqual(expect.arrayContaining(['--unshare-all', '--die-with-parent']));
    expect(args).not.toContain('--share-net');
    expect(args.filter((arg) => arg.startsWith('/data'))).toEqual(['/data/workspaces/exe_1']);
    expect(args.slice(args.indexOf('--chdir'))).toEqual(['--chdir', '/workspace/sub', '--', 'bash', '--noprofile', '--norc', '-c', 'ls']);
  });
});
