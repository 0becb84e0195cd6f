/** The service tests run what ships: dist/ and the workflow bundle, brought up to date once per test process. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

const ROOT = join(__dirname, '..', '..');
let built = false;

/** The compiled entry point of every role. */
export function builtEntry(): string {
  ensureBuilt();
  return join(ROOT, 'dist', 'start.js');
}

export function bundlePath(): string {
  ensureBuilt();
  return join(ROOT, 'dist', 'workflow-bundle.js');
}

export const checkoutRoot = (): string => ROOT;

function ensureBuilt(): void {
  // `npm test` has brought the checkout up to date before Jest starts.
  if (built || process.env['SIGNALBOX_PREPARED'] === '1') return;
  const script = "import('./scripts/prepare.mjs').then(({ prepare }) => prepare())";
  const { status, stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script], { cwd: ROOT, encoding: 'utf8' });
  if (status !== 0) throw new Error(`the build failed:\n${stdout}${stderr}`);
  built = true;
}
