/** Where the processor time of our processes went: top self times of CPU profiles, by package and by file of ours. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** What V8 writes, as far as it is read here. Times in µs. */
export interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: { readonly functionName: string; readonly url: string };
  }[];
  readonly startTime: number;
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

/** A span of time on the profiles' clock, in µs. */
export interface Span {
  readonly from: number;
  readonly to: number;
}

export interface Place {
  readonly name: string;
  readonly ms: number;
}

/** Self times, longest first, of what was sampled within the span; without the time in which the thread had nothing to do. Pure. */
export function selfTimes({ nodes, startTime, samples, timeDeltas }: CpuProfile, span: Span): Place[] {
  const places = new Map(nodes.map(({ id, callFrame }) => [id, placeOf(callFrame)]));
  const spent = new Map<string, number>();
  let at = startTime;
  for (const [index, id] of samples.entries()) {
    // A sample stands for the time until the next.
    at += timeDeltas[index] ?? 0;
    const lasted = timeDeltas[index + 1] ?? 0;
    const place = places.get(id) ?? '(unknown)';
    if (at < span.from || at > span.to || place === '(idle)') continue;
    spent.set(place, (spent.get(place) ?? 0) + lasted / 1000);
  }
  return [...spent].map(([name, ms]) => ({ name, ms })).toSorted((a, b) => b.ms - a.ms);
}

/** The package, the file of ours as it is called under src/, a module of Node's, or V8's own name of what it did. */
function placeOf({ functionName, url }: { readonly functionName: string; readonly url: string }): string {
  if (url === '') return functionName.startsWith('(') ? functionName : `${functionName === '' ? 'unnamed' : functionName} (native)`;
  const inPackage = /.*\/node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(url)?.[1];
  if (inPackage !== undefined) return inPackage;
  return /\/dist\/(.*)\.c?js$/.exec(url)?.[1]?.replace(/^/, 'src/') ?? url;
}

/** Which of our threads a profile is of. */
function threadOf({ nodes }: CpuProfile): string {
  const has = (part: string): boolean => nodes.some(({ callFrame }) => callFrame.url.includes(part));
  if (has('/dist/worker.js')) return 'worker, main thread';
  if (has('/dist/server.js')) return 'gateway';
  return has('workflow-worker-thread') || has('workflow-bundle') ? 'worker, workflow thread' : 'another thread';
}

/** Lines on every profile in a folder. */
export function summariseProfiles(folder: string, span: Span): string[] {
  return readdirSync(folder)
    .filter((file) => file.endsWith('.cpuprofile'))
    .flatMap((file) => {
      const profile = JSON.parse(readFileSync(join(folder, file), 'utf8')) as CpuProfile;
      const places = selfTimes(profile, span);
      const total = places.reduce((sum, { ms }) => sum + ms, 0);
      if (total === 0) return [];
      return [
        '',
        `${threadOf(profile)} (${file}): busy for ${(total / 1000).toFixed(1)} of ${((span.to - span.from) / 1e6).toFixed(1)} s`,
        ...places
          .slice(0, 25)
          .map(({ name, ms }) => `${ms.toFixed(0).padStart(8)} ms ${((100 * ms) / total).toFixed(1).padStart(5)} %  ${name}`),
      ];
    });
}

/** Now, on the profiles' clock. */
export const profileClock = (): number => Number(process.hrtime.bigint() / 1_000n);
