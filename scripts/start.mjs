/**
 * `npm start`: brings the checkout up to date, then runs the service in this process.
 * package.json says `exec node …`, so that npm's signals reach us and not a shell between; where there is no exec (Windows), the part
 * after `||` runs.
 */
import { createRequire } from 'node:module';
import { prepare } from './prepare.mjs';

if (process.env.npm_lifecycle_event !== undefined) stopWhenNpmIsGone();
await prepare();
createRequire(import.meta.url)('../dist/start.js');

/** Nothing tells a process that its parent was killed; it only gets another one. */
function stopWhenNpmIsGone() {
  const npm = process.ppid;
  const timer = setInterval(() => {
    if (process.ppid === npm) return;
    clearInterval(timer);
    process.kill(process.pid, 'SIGTERM');
  }, 500);
  timer.unref();
}
