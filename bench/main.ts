/**
 * npm run bench [-- --quick --only=<sections> --profile=<folder>]   measures, prints ratios to the floor, writes bench/results/
 * npm run bench -- --table <result.json>                            prints it as the table of docs/performance.md
 * npm run bench -- --compare <a.json> <b.json>                      prints two side by side
 */
import { decisions } from './decision.js';
import { lightSteps, loops } from './loops.js';
import type { Figure } from './measure.js';
import { lateReaders, parked } from './parked.js';
import { profileClock, summariseProfiles } from './profile-summary.js';
import { realtime } from './realtime.js';
import { recovery } from './recovery.js';
import { toComparison, toLines, toTable } from './report.js';
import { describeRun, readResult, writeResult } from './result-file.js';
import { fanOuts, sequences, throughput } from './sections.js';
import { openStage, type Stage } from './stage.js';
import { warmUp } from './warm-up.js';
import { webhooks } from './webhook.js';

type Section = (stage: Stage, quick: boolean) => Promise<Figure[]>;

const SECTIONS: Record<string, Section> = {
  sequences,
  'fan-outs': fanOuts,
  loops,
  throughput,
  decisions,
  realtime,
  webhooks,
  parked,
  'late-readers': lateReaders,
  // Kills workers, so it comes last.
  recovery,
};
/** What is compared with the floor step by step, so that all processes are to be warm. */
const WARM: ReadonlySet<string> = new Set(['sequences', 'fan-outs', 'loops', 'throughput']);
/** Run only when named. */
const ON_DEMAND: Record<string, Section> = { 'light-steps': lightSteps };

const say = (line: string): void => void process.stderr.write(`bench: ${line}\n`);

async function main(): Promise<void> {
  const [mode, ...files] = process.argv.slice(2);
  if (mode === '--table') print(files.flatMap((file) => toTable(readResult(file))));
  else if (mode === '--compare') print(compared(files));
  else await measure();
}

function compared([a, b]: readonly string[]): string[] {
  if (a === undefined || b === undefined) throw new Error('--compare needs two result files');
  return toComparison(readResult(a), readResult(b));
}

async function measure(): Promise<void> {
  const quick = process.argv.includes('--quick');
  const profile = option('profile');
  const sections = chosen(option('only')?.split(','));
  const about = describeRun(quick);
  const figures: Figure[] = [];
  const failed: Record<string, string> = {};
  say('starting servers, worker, gateway and floor');
  const stage = await openStage(say, profile);
  let from = profileClock();
  try {
    if (sections.some(([name]) => WARM.has(name))) {
      say('warming up');
      await warmUp(stage, quick);
      from = profileClock();
    }
    for (const [name, section] of sections) {
      say(`measuring ${name}`);
      const started = performance.now();
      try {
        figures.push(...(await section(stage, quick)));
        say(`${name} took ${((performance.now() - started) / 1000).toFixed(0)} s`);
      } catch (error) {
        if (stage.isEnding()) throw error;
        // What the others measured is worth having.
        say(`${name} failed: ${String(error)}`);
        failed[name] = String(error);
        process.exitCode = 1;
      }
    }
  } finally {
    const to = profileClock();
    await stage.close();
    if (profile !== undefined) print(summariseProfiles(profile, { from, to }));
  }
  say(`written to ${writeResult({ ...about, failed, figures })}`);
  print(toLines(figures));
}

function chosen(names: readonly string[] | undefined): [string, Section][] {
  if (names === undefined) return Object.entries(SECTIONS);
  const all: Record<string, Section> = { ...SECTIONS, ...ON_DEMAND };
  return names.map((name) => {
    const section = all[name];
    if (section === undefined) throw new Error(`there is no section ${name}; there are ${Object.keys(all).join(', ')}`);
    return [name, section];
  });
}

const option = (name: string): string | undefined =>
  process.argv.find((argument) => argument.startsWith(`--${name}=`))?.slice(name.length + 3);

function print(lines: readonly string[]): void {
  for (const line of lines) console.log(line);
}

main().catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
