/**
 * How an execution's page shows its steps (reference §6): the snapshot walked with the rows. Pure, and its imports are the language's own: the
 * browser has it too.
 */
import { isRecord, slotsOf } from '../definition/blocks.js';
import { compareIterationPaths, innerPath } from '../definition/iteration-path.js';
import type { JsonObject } from '../definition/value.js';
import type { WireStep } from './wire.js';

export interface TimelineNode {
  readonly stepId: string;
  readonly iterationPath: string;
  readonly name: string | null;
  readonly type: string;
  /** The rows, the first attempt first; none: it is to come (`pending`). */
  readonly attempts: readonly WireStep[];
  /** What is in it, by pass or branch, in their order. */
  readonly groups: readonly TimelineGroup[];
}
export interface TimelineGroup {
  /** `i<n>`, `b<n>`, `c<n>`, `default`, `then`, `else`, `try`, `catch<n>`, `finally`; n counts from 0. */
  readonly disc: string;
  readonly nodes: readonly TimelineNode[];
}

/**
 * @param steps the snapshot's; undefined: it is gone, and the rows stand flat, by creation
 * @param rows by creation
 * @param isClosed the execution has ended: nothing is to come
 */
export function planTimeline(steps: readonly unknown[] | undefined, rows: readonly WireStep[], isClosed: boolean): TimelineNode[] {
  const walk = new Walk(rows, isClosed);
  const nodes = steps === undefined ? [] : walk.block(steps, '');
  return [...nodes, ...walk.rest()];
}

const ENDS_BLOCK: ReadonlySet<string> = new Set(['failed', 'cancelled']);

class Walk {
  private readonly byPlace = new Map<string, WireStep[]>();

  constructor(
    rows: readonly WireStep[],
    private readonly isClosed: boolean,
  ) {
    for (const row of rows) {
      const place = placeOf(row.stepId, row.iterationPath);
      this.byPlace.set(place, [...(this.byPlace.get(place) ?? []), row]);
    }
  }

  block(steps: readonly unknown[], path: string): TimelineNode[] {
    const nodes: TimelineNode[] = [];
    let hasEnded = this.isClosed;
    for (const step of steps) {
      if (!isRecord(step) || typeof step['id'] !== 'string') continue;
      const attempts = this.take(step['id'], path);
      if (attempts.length === 0 && hasEnded) continue;
      nodes.push(this.node(step, step['id'], path, attempts));
      hasEnded ||= ENDS_BLOCK.has(attempts.at(-1)?.status ?? '');
    }
    return nodes;
  }

  /** Rows that match no step, at the end, by creation. */
  rest(): TimelineNode[] {
    const left = [...this.byPlace.values()];
    this.byPlace.clear();
    return left.map((attempts) => {
      const { stepId, iterationPath, name, type } = attempts[0] as WireStep;
      return { stepId, iterationPath, name, type, attempts, groups: [] };
    });
  }

  private node(step: JsonObject, stepId: string, path: string, attempts: readonly WireStep[]): TimelineNode {
    const name = typeof step['name'] === 'string' ? step['name'] : null;
    return {
      stepId,
      iterationPath: path,
      name,
      type: typeof step['type'] === 'string' ? step['type'] : '',
      attempts,
      groups: this.groups(step, stepId, path, attempts),
    };
  }

  private groups(step: JsonObject, stepId: string, path: string, attempts: readonly WireStep[]): TimelineGroup[] {
    return discsOf(step)
      .flatMap(({ disc, steps, isSure }) =>
        this.discsTaken(disc, stepId, path, isSure && attempts.length > 0).map((taken) => ({ disc: taken, steps })),
      )
      .map(({ disc, steps }) => ({ disc, nodes: this.block(steps, innerPath(path, stepId, disc)) }))
      .filter(({ nodes }) => nodes.length > 0);
  }

  /** Which passes or branches of it there are: those that have rows, and those that run for certain. */
  private discsTaken(disc: string, stepId: string, path: string, isSure: boolean): string[] {
    if (disc !== 'i') return isSure || this.hasRows(innerPath(path, stepId, disc)) ? [disc] : [];
    const prefix = innerPath(path, stepId, 'i');
    const passes = new Set<string>();
    for (const rows of this.byPlace.values()) {
      const iterationPath = rows[0]?.iterationPath ?? '';
      if (iterationPath.startsWith(prefix)) passes.add(`i${/^\d+/.exec(iterationPath.slice(prefix.length))?.[0] ?? ''}`);
    }
    return [...passes].toSorted((a, b) => compareIterationPaths(innerPath('', stepId, a), innerPath('', stepId, b)));
  }

  private hasRows(path: string): boolean {
    return [...this.byPlace.values()].some(
      ([row]) => row !== undefined && (row.iterationPath === path || row.iterationPath.startsWith(`${path}/`)),
    );
  }

  private take(stepId: string, path: string): readonly WireStep[] {
    const place = placeOf(stepId, path);
    const rows = this.byPlace.get(place) ?? [];
    this.byPlace.delete(place);
    return rows.toSorted((a, b) => a.attempt - b.attempt);
  }
}

const placeOf = (stepId: string, path: string): string => `${path} ${stepId}`;

interface Disc {
  readonly disc: string;
  readonly steps: readonly unknown[];
  /** It runs once its container does; others only when they are taken. */
  readonly isSure: boolean;
}

/** The branches of a container as iteration paths name them; `i` stands for all passes of a loop. */
function discsOf(step: JsonObject): Disc[] {
  const type = step['type'];
  return slotsOf(step).flatMap(({ path: [name, index], steps }): Disc[] => {
    if (type === 'loop') return [{ disc: 'i', steps, isSure: false }];
    if (type === 'parallel' && name === 'steps') return steps.map((branch, n) => ({ disc: `b${n}`, steps: [branch], isSure: true }));
    if (type === 'parallel') return [{ disc: `b${String(index)}`, steps, isSure: true }];
    if (type === 'try' && name === 'steps') return [{ disc: 'try', steps, isSure: true }];
    const disc = name === 'cases' ? `c${String(index)}` : name === 'catch' ? `catch${String(index)}` : String(name);
    return [{ disc, steps, isSure: false }];
  });
}
