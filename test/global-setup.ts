import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

declare global {
  var testServers: ChildProcess | undefined;
}

/** Opens the process that starts servers on demand (test/support/test-servers.ts). Jest's workers inherit its address. */
export default async function globalSetup(): Promise<void> {
  const root = join(__dirname, '..');
  const child = spawn(process.execPath, ['-r', join(root, 'scripts/register.cjs'), join(__dirname, 'support/test-servers.ts')], {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    detached: true,
  });
  const [message] = (await Promise.race([
    once(child, 'message'),
    once(child, 'exit').then(([code]) => {
      throw new Error(`the test servers' process ended at once (exit code ${String(code)})`);
    }),
  ])) as [{ url: string }];
  process.env['SIGNALBOX_TEST_SERVERS'] = message.url;
  globalThis.testServers = child;
}
