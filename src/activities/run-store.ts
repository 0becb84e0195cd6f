import type { Database } from '../store/database.js';
import { getPlan } from '../store/plans.js';
import { beginStep, endStep, recoverStep } from '../store/steps.js';
import { readStored, storeValue } from '../store/values.js';
import type { StepJournal } from './record-step.js';
import type { RunStore } from './run-facts.js';

/** Secrets of an owner, decrypted: those of the names that exist. */
export type SecretReader = (ownerId: string, names: readonly string[]) => Promise<ReadonlyMap<string, string>>;

/** The store as the activities use it. */
export function createRunStore(db: Database, readSecrets: SecretReader): RunStore {
  return {
    loadPlan: (hash, format) => getPlan(db, hash, format),
    getValue: (ownerId, ref) => readStored(db, ownerId, ref),
    storeValue: (ownerId, value) => storeValue(db, ownerId, value),
    getSecrets: readSecrets,
  };
}

export function createStepJournal(db: Database): StepJournal {
  return { begin: (step) => beginStep(db, step), end: (step) => endStep(db, step), recover: (step) => recoverStep(db, step) };
}
