/** Names and types of steps, by the definition that their execution runs: events do not carry them. Remembered for the newest executions. */
import { stepsById } from '../engine/index.js';
import type { Database } from '../store/database.js';
import { getPlan } from '../store/plans.js';
import { planKeyOf } from '../store/session-view.js';
import type { StepTitle } from './session-event.js';

type Titles = ReadonlyMap<string, StepTitle>;

const REMEMBERED = 200;

export class StepTitles {
  private readonly known = new Map<string, Titles>();

  constructor(private readonly db: Database) {}

  /** Of an execution, by step id. */
  async of(executionId: string): Promise<Titles> {
    const titles = this.known.get(executionId) ?? (await this.read(executionId));
    this.known.delete(executionId);
    this.known.set(executionId, titles);
    for (const oldest of this.known.keys()) {
      if (this.known.size <= REMEMBERED) break;
      this.known.delete(oldest);
    }
    return titles;
  }

  private async read(executionId: string): Promise<Titles> {
    const key = await planKeyOf(this.db, executionId);
    const plan = key === undefined ? undefined : await getPlan(this.db, key.hash, key.planFormat);
    if (plan === undefined) return new Map();
    return new Map([...stepsById(plan)].map(([id, { name, type }]) => [id, { name: name ?? null, type }]));
  }
}
