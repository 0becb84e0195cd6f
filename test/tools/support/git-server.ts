/** A git server: `/smart/…` through git's own CGI program, `/dumb/…` as plain files, `/moved/…` as a redirect, `/hang/…` never. */
import { execFile, spawn, spawnSync } from 'node:child_process';
import { createReadStream, existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

export interface GitServer {
  readonly url: string;
  readonly port: number;
  /** Requests so far, each as `path authorization`. */
  readonly requests: { readonly path: string; readonly authorization: string | undefined }[];
  /** Basic credentials that `/smart/` asks for from now on; undefined: none. */
  password: string | undefined;
  /** Ids of the commits, oldest first. */
  readonly commits: readonly string[];
  close(): Promise<void>;
}

/** Whether this machine has git with its own server. Node is all that the tests ask for; without git, checkouts are not shown. */
export function hasGitServer(): boolean {
  const { stdout, status } = spawnSync('git', ['--exec-path'], { encoding: 'utf8' });
  return status === 0 && existsSync(path.join(stdout.trim(), 'git-http-backend'));
}

/** One repository `app.git` with three commits on `main`, a branch `topic`, a tag `v1` at the first commit, and a link out of it. */
export async function startGitServer(): Promise<GitServer> {
  const root = await mkdtemp(path.join(tmpdir(), 'git-server-'));
  const commits = await makeRepository(root);
  const requests: GitServer['requests'] = [];
  const state = { password: undefined as string | undefined };
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://git');
    requests.push({ path: url.pathname, authorization: request.headers.authorization });
    void answer(root, state, url, request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    requests,
    commits,
    get password() {
      return state.password;
    },
    set password(value) {
      state.password = value;
    },
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await rm(root, { recursive: true });
    },
  };
}

async function makeRepository(root: string): Promise<readonly string[]> {
  const work = path.join(root, 'work');
  await mkdir(work);
  const env = {
    PATH: process.env['PATH'],
    HOME: root,
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_AUTHOR_NAME: 'Ana',
    GIT_AUTHOR_EMAIL: 'ana@example.com',
    GIT_COMMITTER_NAME: 'Ana',
    GIT_COMMITTER_EMAIL: 'ana@example.com',
  };
  const git = async (...args: string[]): Promise<string> => (await run('git', args, { cwd: work, env })).stdout.trim();
  const commits: string[] = [];
  const commit = async (text: string): Promise<void> => {
    await writeFile(path.join(work, 'README.md'), text);
    await git('add', '-A');
    await git('commit', '-q', '-m', text);
    commits.push(await git('rev-parse', 'HEAD'));
  };
  await git('init', '-q', '-b', 'main');
  await commit('first');
  await git('tag', 'v1');
  await commit('second');
  await run('ln', ['-s', '/etc', path.join(work, 'out')]);
  await writeFile(path.join(work, '.gitattributes'), '*.md filter=evil\n');
  await commit('third');
  await git('branch', 'topic', 'HEAD~1');
  await run('git', ['clone', '-q', '--bare', work, path.join(root, 'app.git')], { env });
  await run('git', ['-C', path.join(root, 'app.git'), 'update-server-info'], { env });
  return commits;
}

async function answer(
  root: string,
  { password }: { readonly password: string | undefined },
  url: URL,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const [, kind = '', ...rest] = url.pathname.split('/');
  const below = `/${rest.join('/')}`;
  if (kind === 'hang') return;
  if (kind === 'moved') return void response.writeHead(301, { location: `/smart${below}${url.search}` }).end();
  if (kind === 'dumb') return await sendFile(path.join(root, below), response);
  const expected = password === undefined ? undefined : `Basic ${Buffer.from(`x-access-token:${password}`).toString('base64')}`;
  if (expected !== undefined && request.headers.authorization !== expected)
    return void response.writeHead(401, { 'www-authenticate': 'Basic realm="git"' }).end();
  runBackend(root, below, url, request, response);
}

async function sendFile(file: string, response: ServerResponse): Promise<void> {
  const isThere = await stat(file).then(
    (found) => found.isFile(),
    () => false,
  );
  if (isThere) createReadStream(file).pipe(response);
  else response.writeHead(404).end();
}

function runBackend(root: string, below: string, url: URL, request: IncomingMessage, response: ServerResponse): void {
  const child = spawn('git', ['http-backend'], {
    env: {
      PATH: process.env['PATH'],
      GIT_PROJECT_ROOT: root,
      GIT_HTTP_EXPORT_ALL: '1',
      PATH_INFO: below,
      QUERY_STRING: url.search.slice(1),
      REQUEST_METHOD: request.method,
      CONTENT_TYPE: request.headers['content-type'] ?? '',
      GIT_PROTOCOL: String(request.headers['git-protocol'] ?? ''),
      HTTP_CONTENT_ENCODING: request.headers['content-encoding'] ?? '',
    },
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  request.pipe(child.stdin);
  child.stdin.on('error', () => undefined);
  let head = Buffer.alloc(0);
  const onData = (chunk: Buffer): void => {
    head = Buffer.concat([head, chunk]);
    const end = head.indexOf('\r\n\r\n');
    if (end < 0) return;
    child.stdout.off('data', onData);
    const headers = head
      .subarray(0, end)
      .toString()
      .split('\r\n')
      .map((line) => line.split(': ') as [string, string]);
    const status = Number(headers.find(([name]) => name === 'Status')?.[1]?.slice(0, 3) ?? 200);
    response.writeHead(status, Object.fromEntries(headers.filter(([name]) => name !== 'Status')));
    response.write(head.subarray(end + 4));
    child.stdout.pipe(response);
  };
  child.stdout.on('data', onData);
}
