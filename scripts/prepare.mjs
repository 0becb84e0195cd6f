/**
 * Makes what is missing or stale, in order, saying what it does: packages (`npm ci`), the Prisma client, dist/ and the
 * workflow bundle. Only Node's own modules here: on a fresh clone nothing is installed yet.
 */
import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { acquireLock } from './lock.mjs';
import { hashOf, isCurrent, writeStamp } from './stale.mjs';

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const platform = `${process.platform}-${process.arch}`;

const INSTALL = {
  title: 'installing packages (npm ci; one to three minutes the first time)',
  stamp: 'node_modules/.signalbox-stamp',
  from: () => hashOf(['package-lock.json'], platform),
  isPresent: () => existsSync('node_modules/.package-lock.json'),
  make: () => run(npm(), ['ci', '--no-audit', '--no-fund', '--loglevel=error']),
};
const GENERATE = {
  title: 'generating the database client (a few seconds)',
  stamp: '.cache/stamps/generate',
  from: () => hashOf(['prisma/schema.prisma', 'prisma.config.ts', 'package-lock.json']),
  isPresent: () => existsSync('src/generated/prisma'),
  make: () => run(process.execPath, ['scripts/prisma-generate.mjs']),
};
const BUNDLE_FILES = ['workflow-bundle.js', 'workflow-bundle.meta.json'];
const COMPILE = {
  title: 'compiling src/ to dist/ (a few seconds)',
  stamp: '.cache/stamps/compile',
  from: () => hashOf(['src', 'tsconfig.json', 'tsconfig.build.json', 'package-lock.json']),
  isPresent: () => existsSync('dist/start.js'),
  make: () => {
    // Into a new folder, so that a file that left src/ leaves dist/ too, and what runs from dist/ meanwhile finds its files until the swap.
    rmSync('dist.new', { recursive: true, force: true });
    rmSync('.cache/build.tsbuildinfo', { force: true });
    run(process.execPath, ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.build.json', '--outDir', 'dist.new']);
    // The bundle has a stamp of its own.
    for (const name of BUNDLE_FILES) if (existsSync(`dist/${name}`)) copyFileSync(`dist/${name}`, `dist.new/${name}`);
    if (existsSync('dist')) renameSync('dist', 'dist.old');
    renameSync('dist.new', 'dist');
    rmSync('dist.old', { recursive: true, force: true });
  },
};
const BUNDLE = {
  title: 'bundling the workflow (a few seconds)',
  stamp: '.cache/stamps/bundle',
  from: () => hashOf(['src/workflows', 'src/engine', 'src/definition', 'scripts/bundle-workflows.mjs', 'package-lock.json']),
  isPresent: () => BUNDLE_FILES.every((name) => existsSync(`dist/${name}`)),
  make: () => run(process.execPath, ['scripts/bundle-workflows.mjs']),
};

/**
 * Brings the checkout up to date. One process at a time: parallel starts wait for the first.
 * @param build false: only what type checks and tests of sources need (packages and the generated client)
 */
export async function prepare({ build = true } = {}) {
  process.chdir(ROOT);
  requireNode();
  mkdirSync('.cache', { recursive: true });
  const release = await acquireLock('.cache/prepare.lock', () => say('waiting for another signalbox command that is building here'));
  try {
    for (const product of build ? [INSTALL, GENERATE, COMPILE, BUNDLE] : [INSTALL, GENERATE]) bring(product);
  } finally {
    release();
  }
}

function bring({ title, stamp, from, isPresent, make }) {
  const hash = from();
  if (isPresent() && isCurrent(stamp, hash)) return;
  const started = Date.now();
  say(title);
  make();
  writeStamp(stamp, hash);
  say(`done in ${((Date.now() - started) / 1000).toFixed(1)} s`);
}

function run(command, args) {
  const { status, error } = spawnSync(command, args, { stdio: 'inherit', shell: process.platform === 'win32' });
  if (status === 0) return;
  say(`failed: ${[command, ...args].join(' ')}${error ? ` (${error.message})` : ''}`);
  throw new Error('preparation failed');
}

function requireNode() {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  if (major > 20 || (major === 20 && minor >= 19)) return;
  say(`Node 20.19 or newer is needed, this is ${process.versions.node}`);
  process.exit(1);
}

const npm = () => (process.platform === 'win32' ? 'npm.cmd' : 'npm');
const say = (text) => console.log(`[signalbox] ${text}`);
