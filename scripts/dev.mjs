/**
 * `npm run dev`: like `npm start`, and on a change in src/ or prisma/ compiles and restarts the gateway and the worker; PostgreSQL and
 * Temporal stay up. A change of src/start.ts or src/embedded needs a new `npm run dev`.
 */
import { fork } from 'node:child_process';
import { watch } from 'node:fs';
import { prepare } from './prepare.mjs';

const SETTLE_MS = 150; // an editor saves several files, and one file several times

await prepare();
const service = fork('dist/start.js', { stdio: 'inherit' });
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => service.kill(signal));
service.once('exit', (code) => process.exit(code ?? 1));

let timer;
let building = false;
for (const folder of ['src', 'prisma']) {
  watch(folder, { recursive: true }, (_event, name) => {
    if (name?.startsWith('generated')) return;
    clearTimeout(timer);
    timer = setTimeout(() => void rebuild(), SETTLE_MS);
  });
}

async function rebuild() {
  if (building) {
    timer = setTimeout(() => void rebuild(), SETTLE_MS);
    return;
  }
  building = true;
  try {
    await prepare();
    service.send('reload');
  } catch {
    console.log('[signalbox] does not compile: the last good version goes on');
  } finally {
    building = false;
  }
}
