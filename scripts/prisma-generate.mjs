/**
 * Runs `prisma generate` without a network. Every Prisma command first fetches the schema engine, which `generate` never runs
 * (its work is in WASM); naming any existing file as the engine stops the fetch. Only for `generate`: `migrate` with such a
 * stand-in exits 0 having done nothing.
 */
import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';

const cli = createRequire(import.meta.url).resolve('prisma/build/index.js');
const env = {
  PRISMA_SCHEMA_ENGINE_BINARY: process.execPath,
  CHECKPOINT_DISABLE: '1',
  PRISMA_HIDE_UPDATE_MESSAGE: '1',
  ...process.env,
};
const { status } = spawnSync(process.execPath, [cli, 'generate', '--no-hints'], { stdio: 'inherit', env });
process.exit(status ?? 1);
