import type { VersionRecord, WorkflowRecord } from '../store/workflows.js';

export type WireWorkflow = ReturnType<typeof toWireWorkflow>;

/** A workflow as api.md shows it. Pure. */
export function toWireWorkflow({ ownerId: _owner, tags, ...workflow }: WorkflowRecord) {
  return { ...workflow, tags: [...tags] };
}

/** One row of its history. Pure. */
export function toWireVersion({ hash, version, source, notes, createdBy, proposalId, createdAt }: VersionRecord) {
  return { hash, version, source, notes, createdBy, proposalId, createdAt };
}
