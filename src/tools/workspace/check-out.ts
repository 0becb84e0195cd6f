import path from 'node:path';
import { checkedAddresses, type Resolver } from '../http/checked-connections.js';
import { isListed, type AllowList, type Target } from '../http/address-rules.js';
import { StepFault } from '../step-fault.js';
import { parseRepo, type Repo } from './repo.js';
import { runGit, type GitResult } from './run-git.js';
import type { WorkspaceOrigin } from './workspaces.js';

export interface CheckOutParts {
  /** `SIGNALBOX_HTTP_ALLOW`, parsed: a repo lies where steps may go, and nowhere else. */
  readonly allow: AllowList;
  readonly resolve: Resolver;
  /** The owner's secret GITHUB_TOKEN. */
  readonly tokenOf: (ownerId: string) => Promise<string | undefined>;
  /** Of the worker: where git is found. */
  readonly path: string;
}

/** For all that git does for one checkout. */
export const CHECK_OUT_LIMIT_MS = 300_000;
/** What git takes for all of them, whether there are fewer or not. */
const WHOLE = '2147483647';
/** Commits of the past that come along; more can be fetched by a step. */
const DEPTH = '50';

/**
 * Clones a run's repo into an empty folder and checks out its branch or ref. Only over http(s), only to addresses that were
 * checked, without redirects, submodules, hooks, filters or any configuration of the host's.
 * @throws StepFault `checkout_failed`, `http_blocked`, `http_unreachable`; the signal's reason
 */
export async function checkOut(parts: CheckOutParts, origin: WorkspaceOrigin, folder: string, signal: AbortSignal): Promise<void> {
  const repo = parseRepo(origin.repo);
  const limit = AbortSignal.timeout(CHECK_OUT_LIMIT_MS);
  const git = await connected(parts, repo, origin.ownerId, folder, AbortSignal.any([signal, limit]));
  try {
    await git.clone();
    if (repo.ref !== undefined) await git.moveTo(repo.ref);
  } catch (error) {
    if (signal.aborted || !limit.aborted) throw error;
    throw new StepFault('checkout_failed', `${repo.url.href} was not cloned within ${CHECK_OUT_LIMIT_MS} ms`, { retryable: true });
  }
}

async function connected(parts: CheckOutParts, repo: Repo, ownerId: string, folder: string, signal: AbortSignal): Promise<GitSession> {
  const { url } = repo;
  const target = targetOf(url);
  const { host } = target;
  const addresses = (await checkedAddresses(target, parts.allow, parts.resolve)).map(({ address }) => address);
  const token = mayHaveToken(url, addresses, parts.allow) ? await parts.tokenOf(ownerId) : undefined;
  const pinned = addresses.map((address) => (address.includes(':') ? `[${address}]` : address)).join(',');
  const config = [
    'http.followRedirects=false',
    'protocol.allow=never',
    'protocol.http.allow=always',
    'protocol.https.allow=always',
    'http.lowSpeedLimit=100',
    'http.lowSpeedTime=30',
    'credential.helper=',
    'core.hooksPath=/dev/null',
    // Git looks the name up no second time.
    ...(host === pinned || `[${host}]` === pinned ? [] : [`http.curloptResolve=${host}:${target.port}:${pinned}`]),
  ];
  return new GitSession({ repo, folder, signal, token, config, env: environment(parts.path, token) });
}

function targetOf(url: URL): Target {
  return { host: url.hostname.replace(/^\[|\]$/g, ''), port: Number(url.port || (url.protocol === 'https:' ? 443 : 80)) };
}

/** Anybody can name a repo, and so have the owner's token sent: only to GitHub, or where the operator says that it may go. Pure. */
export const mayHaveToken = (url: URL, addresses: readonly string[], allow: AllowList): boolean =>
  (url.protocol === 'https:' && url.hostname === 'github.com') || isListed(targetOf(url), addresses, allow);

/** The token is in no argument, as those can be seen by everybody on the host, nor in the clone's own configuration. */
function environment(searchPath: string, token: string | undefined): { readonly [name: string]: string } {
  const base = {
    PATH: searchPath,
    HOME: '/nonexistent',
    LANG: 'C',
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_CONFIG_GLOBAL: '/dev/null',
    GIT_TERMINAL_PROMPT: '0',
    GIT_ASKPASS: '',
  };
  if (token === undefined) return base;
  const basic = Buffer.from(`x-access-token:${token}`).toString('base64');
  return { ...base, GIT_CONFIG_COUNT: '1', GIT_CONFIG_KEY_0: 'http.extraHeader', GIT_CONFIG_VALUE_0: `Authorization: Basic ${basic}` };
}

interface GitPlace {
  readonly repo: Repo;
  readonly folder: string;
  readonly signal: AbortSignal;
  readonly token: string | undefined;
  readonly config: readonly string[];
  readonly env: { readonly [name: string]: string };
}

class GitSession {
  private isShallow = true;

  constructor(private readonly place: GitPlace) {}

  async clone(): Promise<void> {
    const shallow = await this.tryClone(['--depth', DEPTH]);
    if (shallow.exitCode === 0) return;
    // A repository behind a plain file server has no shallow clones.
    if (!/dumb http transport does not support shallow/i.test(shallow.stderr)) throw this.fault('cloned', shallow);
    this.isShallow = false;
    const whole = await this.tryClone([]);
    if (whole.exitCode !== 0) throw this.fault('cloned', whole);
  }

  private tryClone(options: readonly string[]): Promise<GitResult> {
    const { url, branch } = this.place.repo;
    const fixed = ['clone', '--quiet', '--no-recurse-submodules', '--template=', ...options];
    return this.git([...fixed, ...(branch === undefined ? [] : ['--branch', branch]), '--', url.href, this.place.folder]);
  }

  /** A ref by its name or whole id is fetched alone; a short id can only be found in the whole history. */
  async moveTo(ref: string): Promise<void> {
    if (this.isShallow) {
      const fetched = await this.inClone(['fetch', '--quiet', '--depth', DEPTH, 'origin', ref]);
      if (fetched.exitCode === 0) return await this.detachAt('FETCH_HEAD');
      const whole = await this.inClone(['fetch', '--quiet', '--depth', WHOLE, '--tags', 'origin', '+refs/heads/*:refs/remotes/origin/*']);
      if (whole.exitCode !== 0) throw this.fault(`fetched at ${ref}`, whole);
    }
    const local = await this.inClone(['checkout', '--quiet', '--detach', ref, '--']);
    if (local.exitCode !== 0) await this.detachAt(`refs/remotes/origin/${ref}`, ref);
  }

  private async detachAt(commit: string, name = commit): Promise<void> {
    const result = await this.inClone(['checkout', '--quiet', '--detach', commit, '--']);
    if (result.exitCode !== 0) throw this.fault(`checked out at ${name}`, result);
  }

  private inClone(args: readonly string[]): Promise<GitResult> {
    return this.git(['-C', this.place.folder, ...args]);
  }

  private async git(args: readonly string[]): Promise<GitResult> {
    const { folder, config, env, signal } = this.place;
    try {
      return await runGit({ args: [...config.flatMap((one) => ['-c', one]), ...args], cwd: path.dirname(folder), env, signal });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      throw new StepFault('checkout_failed', 'git is not installed on this worker, so the run’s repo cannot be cloned', { cause: error });
    }
  }

  private fault(what: string, { stderr }: GitResult): StepFault {
    const { repo, token, folder } = this.place;
    const said = (token === undefined ? stderr : stderr.replaceAll(token, '[secret GITHUB_TOKEN]')).replaceAll(folder, '.');
    const lines = said.split('\n').filter((line) => /^(?:fatal|error|remote):/.test(line));
    const hint = NOT_ALLOWED.test(said) ? TOKEN_HINT : '';
    return new StepFault(
      'checkout_failed',
      `${repo.url.href} could not be ${what}: ${lines.join(' ').slice(0, 600) || 'git failed'}${hint}`,
      {
        retryable: PASSING.test(said),
        details: { url: repo.url.href, branch: repo.branch ?? null, ref: repo.ref ?? null },
      },
    );
  }
}

const NOT_ALLOWED = /could not read Username|Authentication failed|error: 40[13]|not found/i;
const TOKEN_HINT =
  ' (a private repository needs the secret GITHUB_TOKEN, which is sent to github.com and to hosts of SIGNALBOX_HTTP_ALLOW)';
/** What may be better at another time. */
const PASSING =
  /timed? ?out|could not connect|failed to connect|connection (?:reset|refused)|early EOF|hung up|error: (?:429|5\d\d)|too slow/i;
