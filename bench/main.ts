/** `npm run bench [-- --quick --only=sequences,fan-outs,throughput,decisions,webhooks --profile=<folder>]`: prints ratios to the floor, writes bench/results/. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { decisions } from './decision.js';
import type { Figure } from './measure.js';
import { fanOuts, sequences, throughput } from './sections.js';
import { openStage, type Stage } from './stage.js';
import { webhooks } from './webhook.js';

const SECTIONS: Record<string, (stage: Stage, quick: boolean) => Promise<Figure[]>> = {
  sequences,
  'fan-outs': fanOuts,
  throughput,
  decisions,
  webhooks,
};

async function main(): Promise<void> {
  const quick = process.argv.includes('--quick');
  const only = option('only')?.split(',');
  const say = (line: string): void => void process.stderr.write(`bench: ${line}\n`);
  say('starting servers, worker, gateway and floor');
  const stage = await openStage(say, option('profile'));
  const figures: Figure[] = [];
  try {
    for (const [name, section] of Object.entries(SECTIONS)) {
      if (only !== undefined && !only.includes(name)) continue;
      say(`measuring ${name}`);
      figures.push(...(await section(stage, quick)));
    }
  } finally {
    await stage.close();
  }
  print(figures);
  write({ at: new Date().toISOString(), commit: commit(), node: process.version, cores: cpus().length, quick, figures });
}

const option = (name: string): string | undefined =>
  process.argv.find((argument) => argument.startsWith(`--${name}=`))?.slice(name.length + 3);

function print(figures: readonly Figure[]): void {
  console.log(
    `${'figure'.padEnd(44)}${'ours p50'.padStart(10)}${'floor p50'.padStart(11)}${'ratio'.padStart(8)}${'ours p95'.padStart(10)}${'floor p95'.padStart(11)}  unit, goal`,
  );
  for (const { name, unit, ours, floor, ratio, goal } of figures) {
    const cells = [
      ours.p50.toFixed(1).padStart(10),
      floor.p50.toFixed(1).padStart(11),
      ratio.toFixed(2).padStart(8),
      ours.p95.toFixed(1).padStart(10),
      floor.p95.toFixed(1).padStart(11),
    ];
    console.log(`${name.padEnd(44)}${cells.join('')}  ${unit}${goal === undefined ? '' : `, ${goal}`}`);
  }
}

function write(result: { readonly at: string; readonly [key: string]: unknown }): void {
  const folder = join(__dirname, 'results');
  mkdirSync(folder, { recursive: true });
  const file = join(folder, `${result.at.replaceAll(':', '-')}.json`);
  writeFileSync(file, `${JSON.stringify(result, null, 2)}\n`);
  process.stderr.write(`bench: written to ${file}\n`);
}

function commit(): string {
  try {
    return execFileSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8' }).trim();
  } catch {
    return 'unknown';
  }
}

main().catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
