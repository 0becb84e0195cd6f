import { readdirSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Json } from '../../src/definition/value.js';
import { parseAllowList } from '../../src/tools/http/address-rules.js';
import { callerOf } from './support/tool-calls.js';
import { createFilesTools } from '../../src/tools/files/files-tools.js';
import { checkOut, mayHaveToken, type CheckOutParts } from '../../src/tools/workspace/check-out.js';
import { parseRepo } from '../../src/tools/workspace/repo.js';
import { hasGitServer, startGitServer, type GitServer } from './support/git-server.js';
import { aWorkspaces } from './support/workspaces.js';

const NEVER = new AbortController().signal;

const withGit = hasGitServer() ? describe : describe.skip;

withGit('workspaces', () => {
  let data: string;
  let git: GitServer;
  beforeAll(async () => {
    git = await startGitServer();
  });
  afterAll(() => git.close());
  beforeEach(async () => {
    data = await mkdtemp(path.join(tmpdir(), 'workspaces-'));
    git.requests.splice(0);
    git.password = undefined;
  });
  afterEach(() => rm(data, { recursive: true, force: true }));

  const workspacesOf = (repo: Json, parts: Partial<CheckOutParts> = {}) =>
    aWorkspaces(data, {
      originOf: async () => ({ ownerId: 'usr_ana', repo }),
      checkOut: (origin, folder, signal) =>
        checkOut(
          {
            allow: parseAllowList(['127.0.0.1', 'git.internal']),
            resolve: async () => [{ address: '127.0.0.1', family: 4 }],
            tokenOf: async () => undefined,
            path: process.env['PATH'] ?? '',
            ...parts,
          },
          origin,
          folder,
          signal,
        ),
    });
  const open = (repo: Json, parts: Partial<CheckOutParts> = {}, signal = NEVER) => workspacesOf(repo, parts).open('exe_1', signal);
  const readme = async (folder: string) => await readFile(path.join(folder, 'README.md'), 'utf8');
  const left = () => readdir(path.join(data, 'workspaces')).catch(() => []);

  describe('with a checkout', () => {
    it.each([
      ['the default branch', {}, 'third'],
      ['a branch', { branch: 'topic' }, 'second'],
      ['a tag as ref', { ref: 'v1' }, 'first'],
      ['a branch as ref', { ref: 'topic' }, 'second'],
    ])('clones %s, from a smart server and from plain files', async (_, more, text) => {
      for (const kind of ['smart', 'dumb']) {
        const folder = await open({ url: `${git.url}/${kind}/app.git`, ...more });
        expect([kind, await readme(folder)]).toEqual([kind, text]);
        await rm(folder, { recursive: true });
      }
    });

    it('finds a commit by its whole id and by a short one', async () => {
      for (const kind of ['smart', 'dumb'])
        for (const length of [40, 9]) {
          const folder = await open({ url: `${git.url}/${kind}/app.git`, branch: 'main', ref: git.commits[1]?.slice(0, length) ?? '' });
          expect([kind, length, await readme(folder)]).toEqual([kind, length, 'second']);
          await rm(folder, { recursive: true });
        }
    });

    it('pins the address that was checked: the name is looked up once', async () => {
      let asked = 0;
      const resolve = async () => {
        asked += 1;
        return [{ address: '127.0.0.1', family: 4 }];
      };
      expect(await readme(await open({ url: `http://git.internal:${git.port}/smart/app.git` }, { resolve }))).toBe('third');
      expect(asked).toBe(1);
    });

    it('is made once, also for calls at the same time, and kept', async () => {
      const workspaces = workspacesOf({ url: `${git.url}/smart/app.git` });
      const folders = await Promise.all(Array.from({ length: 5 }, () => workspaces.open('exe_1', NEVER)));
      expect(new Set(folders).size).toBe(1);
      await writeFile(path.join(folders[0] ?? '', 'README.md'), 'mine');
      // Another process of the same host.
      expect(await readme(await open({ url: `${git.url}/smart/app.git` }))).toBe('mine');
      expect(git.requests.filter(({ path: asked }) => asked.endsWith('/info/refs'))).toHaveLength(1);
      expect(await left()).toEqual(['exe_1']);
    });

    it('leads nowhere by the repository’s own links', async () => {
      const workspaces = workspacesOf({ url: `${git.url}/smart/app.git` });
      const call = callerOf(createFilesTools(workspaces));
      await expect(call('files:read', { path: 'out/passwd' })).rejects.toThrow('leads outside');
      await expect(call('files:write', { path: 'out/x', content: '' })).rejects.toThrow('leads outside');
      expect(await call<{ content: string }>('files:read', { path: 'README.md' })).toMatchObject({ content: 'third' });
    });

    it('has no hook, no filter and no credential in it', async () => {
      git.password = 'ghp_s3cret';
      const folder = await open({ url: `${git.url}/smart/app.git` }, { tokenOf: async () => 'ghp_s3cret' });
      expect(await readdir(path.join(folder, '.git'))).not.toContain('hooks');
      const texts = readdirSync(path.join(folder, '.git'), { withFileTypes: true, recursive: true }).filter((entry) => entry.isFile());
      const all = texts.map((entry) => readFileSync(path.join(entry.parentPath, entry.name), 'latin1')).join('\n');
      expect(all).not.toMatch(/s3cret|x-access-token|extraHeader|Authorization/i);
    });
  });

  describe('of a private repository', () => {
    it('sends the owner’s token where the operator’s list says, in no argument of a process', async () => {
      git.password = 'ghp_s3cret';
      let lines = '';
      const watching = setInterval(() => {
        for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name)))
          try {
            lines += readFileSync(`/proc/${pid}/cmdline`, 'latin1');
          } catch {
            // gone meanwhile
          }
      }, 5);
      const asked: string[] = [];
      const tokenOf = async (ownerId: string) => {
        asked.push(ownerId);
        return 'ghp_s3cret';
      };
      expect(await readme(await open({ url: `${git.url}/smart/app.git` }, { tokenOf }))).toBe('third');
      clearInterval(watching);
      expect(asked).toEqual(['usr_ana']);
      expect(lines).toContain('app.git');
      expect(lines).not.toContain(Buffer.from('x-access-token:ghp_s3cret').toString('base64').slice(0, 20));
      expect(lines).not.toContain('s3cret');
    });

    it.each([
      ['https://github.com/a/b', [], true],
      ['http://github.com/a/b', [], false],
      ['https://github.com.evil.example/a/b', [], false],
      ['https://evil.example/github.com', [], false],
      ['https://github.example.com/a/b', [], false],
      ['https://github.example.com/a/b', ['github.example.com'], true],
      ['https://github.example.com/a/b', ['github.example.com:8443'], false],
      ['https://github.example.com/a/b', ['203.0.114.0/24'], true],
      ['https://github.example.com/a/b', ['10.0.0.0/8'], false],
    ])('trusts %s, with %j allowed: %s', (url, allow, isTrusted) => {
      expect(mayHaveToken(new URL(url), ['203.0.114.1'], parseAllowList(allow))).toBe(isTrusted);
    });

    it('does not even read it for another host', async () => {
      const asked: string[] = [];
      const tokenOf = async (ownerId: string) => void asked.push(ownerId);
      await expect(
        open({ url: `http://evil.example:${git.port}/smart/none.git` }, { tokenOf, allow: parseAllowList(['evil.example:1']) }),
      ).rejects.toMatchObject({ code: 'http_blocked' });
      expect(asked).toEqual([]);
    });

    it('says what is missing when there is none, or a wrong one, without telling it', async () => {
      git.password = 'ghp_s3cret';
      await expect(open({ url: `${git.url}/smart/app.git` })).rejects.toMatchObject({
        code: 'checkout_failed',
        message: expect.stringContaining('needs the secret GITHUB_TOKEN') as string,
      });
      const wrong = await open({ url: `${git.url}/smart/app.git` }, { tokenOf: async () => 'ghp_wr0ng' }).catch(
        (error: unknown) => error as Error,
      );
      expect(wrong).toMatchObject({ code: 'checkout_failed' });
      expect(JSON.stringify({ ...(wrong as object), message: (wrong as Error).message })).not.toContain('wr0ng');
    });
  });

  describe('refuses', () => {
    it.each<[string, Json, string]>([
      ['a file', { url: 'file:///etc' }, 'Expected an http(s) address'],
      ['ssh', { url: 'git@github.com:a/b.git' }, 'Expected an http(s) address'],
      ['git’s external transport', { url: 'ext::sh -c touch% /tmp/x' }, 'Expected an http(s) address'],
      ['an option in the place of the url', { url: '--upload-pack=touch /tmp/x' }, 'Expected an http(s) address'],
      ['credentials in the url', { url: 'https://user:pass@github.com/a/b' }, 'GITHUB_TOKEN'],
      ['an option as branch', { url: 'https://github.com/a/b', branch: '--upload-pack=x' }, 'branch'],
      ['a range as ref', { url: 'https://github.com/a/b', ref: 'a..b' }, 'ref'],
      ['a pattern as ref', { url: 'https://github.com/a/b', ref: 'refs/*:refs/*' }, 'ref'],
      ['a line break in a ref', { url: 'https://github.com/a/b', ref: 'a\nb' }, 'ref'],
      ['no object', 'https://github.com/a/b', 'expected object'],
    ])('%s', (_, repo, why) => {
      expect(() => parseRepo(repo)).toThrow(why);
    });

    it('S3: a private address, whatever its name, without a connection', async () => {
      for (const url of [`${git.url}/smart/app.git`, 'http://169.254.169.254/app.git', 'http://[::1]/app.git', 'http://2130706433/app.git'])
        await expect(open({ url }, { allow: [] })).rejects.toMatchObject({ code: 'http_blocked' });
      await expect(open({ url: `http://inside.example:${git.port}/smart/app.git` }, { allow: [] })).rejects.toMatchObject({
        code: 'http_blocked',
      });
      expect(git.requests).toEqual([]);
      expect(await left()).toEqual([]);
    });

    it('S3: a redirect, which could lead anywhere', async () => {
      await expect(open({ url: `${git.url}/moved/app.git` })).rejects.toMatchObject({ code: 'checkout_failed' });
      expect(git.requests.every(({ path: asked }) => asked.startsWith('/moved/'))).toBe(true);
    });

    it('what is not there, with the server’s reason and nothing left behind', async () => {
      for (const [repo, why] of [
        [{ url: `${git.url}/smart/none.git` }, 'not found'],
        [{ url: `${git.url}/smart/app.git`, branch: 'none' }, 'Remote branch none not found'],
        [{ url: `${git.url}/smart/app.git`, ref: 'none' }, 'could not be checked out at none'],
      ] as const) {
        const fault = await open(repo).catch((error: unknown) => error as Error);
        expect(fault).toMatchObject({ code: 'checkout_failed', message: expect.stringContaining(why) as string });
        expect((fault as Error).message).not.toContain(data);
        expect(await left()).toEqual([]);
      }
    });

    it('to wait for a server that never answers, once it is stopped; another call goes on by itself', async () => {
      const workspaces = workspacesOf({ url: `${git.url}/hang/app.git` });
      const [one, two] = [new AbortController(), new AbortController()];
      const opened = workspaces.open('exe_1', one.signal);
      const other = workspaces.open('exe_1', two.signal);
      const first = expect(opened).rejects.toThrow('stop one');
      one.abort(new Error('stop one'));
      await first;
      two.abort(new Error('stop two'));
      await expect(other).rejects.toThrow('stop two');
      expect(await left()).toEqual([]);
    });

    it('without git on the worker', async () => {
      await expect(open({ url: `${git.url}/smart/app.git` }, { path: '/nowhere' })).rejects.toThrow('git is not installed');
    });
  });
});

describe('the sweep of workspaces', () => {
  let data: string;
  const left = () => readdir(path.join(data, 'workspaces'));
  beforeEach(async () => {
    data = await mkdtemp(path.join(tmpdir(), 'sweep-'));
  });
  afterEach(() => rm(data, { recursive: true, force: true }));
  const HOURS_AGO = new Date(Date.now() - 3 * 60 * 60_000);
  it('removes what is over, and strays once they are old; leaves what goes on, and what is not ours', async () => {
    const parent = path.join(data, 'workspaces');
    for (const name of [
      'exe_open',
      'exe_over',
      'exe_unknown',
      'exe_old',
      'ses_1',
      '.new-young',
      '.new-old',
      'not%ours',
      'exe_trg-2026-11-24T02%3A00%3A00Z',
    ])
      await mkdir(path.join(parent, name, 'deep'), { recursive: true });
    for (const name of ['exe_old', '.new-old', 'exe_open', 'not%ours']) await utimes(path.join(parent, name), HOURS_AGO, HOURS_AGO);
    const asked: string[] = [];
    const workspaces = aWorkspaces(data, {
      statesOf: async (ids) => {
        asked.push(...ids);
        return new Map([
          ['exe_open', 'open'],
          ['ses_1', 'open'],
          ['exe_over', 'over'],
          ['exe_trg-2026-11-24T02:00:00Z', 'over'],
        ]);
      },
    });
    expect(await workspaces.sweep()).toBe(4);
    expect(asked).toContain('exe_trg-2026-11-24T02:00:00Z');
    expect(new Set(await left())).toEqual(new Set(['.new-young', 'exe_open', 'exe_unknown', 'not%ours', 'ses_1']));
  });

  it('has nothing to do where there are none', async () => {
    expect(await aWorkspaces(path.join(data, 'none')).sweep()).toBe(0);
  });
});
