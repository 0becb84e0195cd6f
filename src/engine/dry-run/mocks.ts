/** What a dry run is told of the steps that it does not execute. */
import type { Json } from '../../definition/runtime.js';

export interface MockError {
  readonly code: string;
  readonly message?: string;
  readonly retryable?: boolean;
  readonly details?: { readonly [key: string]: Json };
}
export type Mock = { readonly output: Json } | { readonly error: MockError };
/** By step id: one for every visit, or one a visit (the last repeats). */
export type Mocks = { readonly [stepId: string]: Mock | readonly Mock[] };

/** Hands mocks out visit by visit. */
export class MockBook {
  private readonly visits = new Map<string, number>();

  constructor(private readonly mocks: Mocks) {}

  has(stepId: string): boolean {
    return Object.hasOwn(this.mocks, stepId);
  }

  /** The mock of the step's next visit; undefined when it has none. */
  next(stepId: string): Mock | undefined {
    if (!this.has(stepId)) return undefined;
    const mock = this.mocks[stepId];
    const visit = this.visits.get(stepId) ?? 0;
    this.visits.set(stepId, visit + 1);
    return isList(mock) ? mock[Math.min(visit, mock.length - 1)] : mock;
  }
}

const isList = (mock: Mock | readonly Mock[] | undefined): mock is readonly Mock[] => Array.isArray(mock);
