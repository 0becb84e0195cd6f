/**
 * Bundles the workflow code once, so that no worker spends a second on it at start and every process runs the same bytes.
 * Writes dist/workflow-bundle.js and dist/workflow-bundle.meta.json: { sdkVersion, sourceHash, bytes }.
 */
import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { hashOf } from './stale.mjs';

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const require = createRequire(import.meta.url);
/** Schemas, the parser and servers' clients stay out: compiled plans cross, not what compiles them. */
const FORBIDDEN = ['zod', 'acorn', 'pg', '@prisma', '@temporalio/client', '@temporalio/worker', 'express'];
/** Reached lazily, and only where a function may be evaluated: in an activity. The host orders `evaluate` instead. */
const ACTIVITIES_ONLY = ['re2js'];
/**
 * Evaluated once a worker instead of once a workflow (and frozen): pure code without state of its own. A start is milliseconds
 * quicker for it, and a cached workflow smaller.
 */
const SHARED = ['src/workflows/short-stacks.ts', 'src/definition/runtime.ts', 'src/engine/index.ts'];

export const BUNDLE_SOURCES = ['src/workflows', 'src/engine', 'src/definition'];

/** @param folder where both files go; a reader sees whole files only */
export async function bundleWorkflows(folder = join(ROOT, 'dist')) {
  const { bundleWorkflowCode, DefaultLogger, Runtime } = require('@temporalio/worker');
  const logger = new DefaultLogger('WARN');
  Runtime.install({ logger });
  const { code } = await bundleWorkflowCode({
    workflowsPath: join(ROOT, 'src/workflows/index.ts'),
    preloadModules: SHARED.map((path) => join(ROOT, path)),
    ignoreModules: ACTIVITIES_ONLY,
    logger,
  });
  const stray = FORBIDDEN.filter((name) => code.includes(`/node_modules/${name}/`));
  if (stray.length > 0)
    throw new Error(`the workflow bundle must not hold ${stray.join(', ')}: an import in src/workflows, engine or definition brings it in`);
  const meta = {
    sdkVersion: require('@temporalio/workflow/package.json').version,
    sourceHash: hashOf(BUNDLE_SOURCES.map((path) => join(ROOT, path))),
    bytes: Buffer.byteLength(code),
  };
  mkdirSync(folder, { recursive: true });
  writeWhole(join(folder, 'workflow-bundle.js'), code);
  writeWhole(join(folder, 'workflow-bundle.meta.json'), `${JSON.stringify(meta, undefined, 2)}\n`);
  return meta;
}

function writeWhole(path, content) {
  writeFileSync(`${path}.tmp-${process.pid}`, content);
  renameSync(`${path}.tmp-${process.pid}`, path);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { bytes } = await bundleWorkflows();
  console.log(`[signalbox] workflow bundle: ${(bytes / 1e6).toFixed(2)} MB`);
  process.exit(0); // the SDK's runtime would hold the process
}
