/**
 * Records one history per scenario into test/histories/<engine version>/, on real development servers:
 *
 *     node -r ./scripts/register.cjs test/histories/record.ts [scenario ...]
 *
 * Record anew only for a new engine version or a new scenario: an old recording is the promise that executions started then can go on.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DefaultLogger, Runtime } from '@temporalio/worker';
import { startTemporal } from '../../src/embedded/temporal.js';
import { ENGINE_VERSION } from '../../src/engine/types.js';
import { ScenarioStage } from '../support/scenario-stage.js';
import { bundlePath } from '../support/service-build.js';
import { childIdAt, SCENARIOS, type Scenario } from './scenarios.js';

const LOW_THRESHOLD = { 'limit.historyCount.suggestContinueAsNew': 40, 'history.workflowIdReuseMinimalInterval': '0s' };
const folder = join(__dirname, String(ENGINE_VERSION));
const wanted = process.argv.slice(2);

async function main(): Promise<void> {
  Runtime.install({ logger: new DefaultLogger('ERROR') });
  mkdirSync(folder, { recursive: true });
  const chosen = SCENARIOS.filter(({ name }) => wanted.length === 0 || wanted.includes(name));
  await record(chosen.filter(({ handsOver }) => handsOver !== true), {});
  await record(chosen.filter(({ handsOver }) => handsOver === true), LOW_THRESHOLD);
}

async function record(scenarios: readonly Scenario[], dynamicConfig: { readonly [key: string]: string | number }): Promise<void> {
  if (scenarios.length === 0) return;
  const dir = mkdtempSync(join(tmpdir(), 'sbx-record-'));
  const server = await startTemporal({ dir, ui: false, dynamicConfig });
  try {
    await ScenarioStage.with({ address: server.address, namespace: 'default', bundle: bundlePath(), maxCachedWorkflows: 100 }, async (stage) => {
      for (const scenario of scenarios) await recordOne(stage, scenario);
    });
  } finally {
    await server.stop();
    rmSync(dir, { recursive: true, force: true });
  }
}

async function recordOne(stage: ScenarioStage, scenario: Scenario): Promise<void> {
  const { id, outcome } = await stage.play(scenario);
  if (outcome !== scenario.expected) throw new Error(`${scenario.name} ended ${outcome}, expected ${scenario.expected}`);
  const ids = [[scenario.name, id], ...Object.keys(scenario.children ?? {}).map((at) => [`${scenario.name}.child`, childIdAt(scenario, at)])] as [string, string][];
  for (const [name, workflowId] of ids) {
    const runs = await stage.histories(workflowId);
    if (name === scenario.name && scenario.handsOver === true && runs.length < 2) throw new Error(`${scenario.name} did not hand over`);
    runs.forEach((text, index) => writeFileSync(join(folder, `${name}${index === 0 ? '' : `.run${index + 1}`}.json`), `${text}\n`));
    console.log(`${name}: ${runs.length} run${runs.length === 1 ? '' : 's'}`);
  }
}

main().then(
  () => process.exit(0),
  (error: unknown) => {
    console.error(error);
    process.exit(1);
  },
);
