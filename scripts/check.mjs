/** `npm run check`: types, lint with the layer rules, format, unused code. Runs all of them and says which failed. */
import { spawnSync } from 'node:child_process';
import { prepare } from './prepare.mjs';

const CHECKS = [
  { name: 'types', command: 'tsc', args: ['-p', 'tsconfig.json'] },
  { name: 'lint and layers', command: 'oxlint', args: ['--type-aware'] },
  { name: 'format', command: 'biome', args: ['format', '.'] },
  { name: 'unused code', command: 'knip', args: [] },
];

await prepare({ build: false });
const failed = CHECKS.filter(({ name, command, args }) => {
  const started = Date.now();
  const { status } = spawnSync(`node_modules/.bin/${command}`, args, { stdio: 'inherit', shell: process.platform === 'win32' });
  console.log(`check: ${name} ${status === 0 ? 'ok' : 'FAILED'} (${((Date.now() - started) / 1000).toFixed(1)} s)`);
  return status !== 0;
});
if (failed.length > 0) process.exit(1);
