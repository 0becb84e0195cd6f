/** What the operations are given; connected in server.ts and worker.ts. */
import type { ArgumentFaults } from '../definition/index.js';
import type { Database } from '../store/database.js';
import type { Background } from './background.js';
import type { TemporalGateway } from './temporal-gateway.js';

export interface OperationLog {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

export interface OperationDeps {
  readonly db: Database;
  readonly temporal: TemporalGateway;
  /** Signals and starts that follow an answer; drained when the process stops. */
  readonly background: Background;
  readonly log: OperationLog;
  /** Executions active at once; 0 is no limit. */
  readonly limits: { readonly activePerUser: number; readonly active: number };
  /** 32 bytes, for secrets at rest. */
  readonly encryptionKey: Uint8Array;
  /** Ids of the registered tools, so that a definition with an unknown one is refused. */
  readonly toolIds: () => readonly string[];
  /** Those of them that declare themselves light: their steps may run in segments. */
  readonly lightToolIds: readonly string[];
  /** What is wrong with a call of a tool as it is written; without it definitions may hold calls that can never succeed. */
  readonly argumentFaults?: ArgumentFaults;
}
