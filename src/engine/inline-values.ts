/** Where a state holds values that may be exchanged for references while the run goes on. */
import type { Value } from '../definition/runtime.js';
import { put } from './scopes.js';
import type { EngineState, LoopData, Scope, StepFrame } from './state.js';

export interface Holding {
  /** The same for the same place as long as its frames stand. */
  readonly address: string;
  readonly value: Value;
  readonly replace: (by: Value) => void;
}

/** Every variable and output of every overlay, those of ended branches and passes included. */
export function holdingsOf(state: EngineState): Holding[] {
  return Object.values(state.fibers).flatMap((fiber) =>
    fiber.frames.flatMap((frame, index) => {
      const at = `${fiber.id}/${index}`;
      if (frame.k === 'block') return frame.scope === undefined ? [] : inScope(`${at}/${frame.path}`, frame.scope);
      return inStep(`${at}/${frame.path}/${frame.stepId}#${frame.attempt}`, frame);
    }),
  );
}

function inScope(at: string, scope: Scope): Holding[] {
  return (['variables', 'outputs'] as const).flatMap((root) =>
    Object.entries(scope[root]).map(([name, value]) => ({
      address: `${at}/${root}/${name}`,
      value,
      replace: (by: Value) => put(scope[root], name, by),
    })),
  );
}

function inStep(at: string, { data }: StepFrame): Holding[] {
  if (data?.type === 'parallel')
    return data.branches.flatMap(({ scope }, index) => (scope === null ? [] : inScope(`${at}/b${index}`, scope)));
  return data?.type === 'loop' ? inPasses(at, data) : [];
}

function inPasses(at: string, { merged }: LoopData): Holding[] {
  return (['variables', 'outputs'] as const).flatMap((root) =>
    Object.entries(merged[root]).map(([name, { pass, value }]) => ({
      address: `${at}/${pass}/${root}/${name}`,
      value,
      replace: (by: Value) => put(merged[root], name, { pass, value: by }),
    })),
  );
}

/** Loops whose results could go out as a chunk: the first `passes` of what is still inline have all ended. */
export interface ResultChunk {
  readonly address: string;
  readonly loop: LoopData;
  readonly passes: number;
}

export function resultChunksOf(state: EngineState): ResultChunk[] {
  return Object.values(state.fibers).flatMap((fiber) =>
    fiber.frames.flatMap((frame, index) => {
      if (frame.k !== 'step' || frame.data?.type !== 'loop') return [];
      const loop = frame.data;
      const passes = Math.min(MAX_CHUNK, endedPasses(state, loop));
      return passes === 0
        ? []
        : [{ address: `${fiber.id}/${index}/${frame.path}/${frame.stepId}#${frame.attempt}/results/${loop.storedPasses}`, loop, passes }];
    }),
  );
}

/** Results of a loop leave in chunks of so many (durability §5). */
const MAX_CHUNK = 500;

function endedPasses(state: EngineState, loop: LoopData): number {
  const running = loop.running.map((id) => state.fibers[id]?.parent?.slot ?? loop.next);
  return Math.min(loop.storedPasses + loop.results.length, ...running) - loop.storedPasses;
}
