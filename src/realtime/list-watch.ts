/**
 * The lists `executions` and `approvals`: not logs, but rows that change. Woken streams say which rows to look at; a sweep compares the
 * marks of what is open, so that a lost wake-up costs a moment. Nothing is asked while nobody watches.
 */
import type { OperationDeps } from '../operations/deps.js';
import { toWireApproval, toWireExecution } from '../operations/wire.js';
import { executionMarks, executionsById, gateMarks, gatesById, gatesByStream, markOfGate } from '../store/changed-rows.js';
import type { ExecutionRecord } from '../store/execution-record.js';
import type { GateRecord } from '../store/gate-record.js';
import { shownExecutions } from '../store/private-values.js';
import { getUser } from '../store/users.js';
import { executionChange, gateChange, type ListChange } from './list-change.js';

export interface ExecutionsFollower {
  readonly kind: 'executions';
  readonly ownerId: string;
  change(change: ListChange): void;
}
export interface ApprovalsFollower {
  readonly kind: 'approvals';
  /** Whether this gate may be known to the follower. */
  maySee(gate: GateRecord, ownerGroups: readonly string[]): boolean;
  change(change: ListChange): void;
}
export type ListFollower = ExecutionsFollower | ApprovalsFollower;

export interface ListWatchOptions {
  readonly db: OperationDeps['db'];
  readonly onError: (error: unknown) => void;
  /** How long woken streams are collected; 150 ms. */
  readonly collectMs?: number;
}

const COLLECT_MS = 150;
const MAX_MARKS = 20_000;

export class ListWatch {
  private readonly executions = new Set<ExecutionsFollower>();
  private readonly approvals = new Set<ApprovalsFollower>();
  private readonly executionsSeen = new Map<string, { readonly mark: string; readonly status: string }>();
  private readonly gatesSeen = new Map<string, { readonly mark: string; readonly gate: GateRecord }>();
  private readonly woken = new Set<string>();
  /** Whose executions are known as they were at first. */
  private readonly owners = new Set<string>();
  private knowsGates = false;
  private timer: NodeJS.Timeout | undefined;
  private looking: Promise<void> = Promise.resolve();
  private isClosed = false;

  constructor(private readonly options: ListWatchOptions) {}

  /** From when it resolves on, each change is told. @returns what ends it; @throws what the first look throws */
  async follow(follower: ListFollower): Promise<() => void> {
    const leave = this.add(follower);
    try {
      if (follower.kind === 'executions') await this.beginExecutions(follower.ownerId);
      else await this.beginApprovals();
      return leave;
    } catch (error) {
      leave();
      throw error;
    }
  }

  private add(follower: ListFollower): () => void {
    if (follower.kind === 'executions') {
      this.executions.add(follower);
      return () => this.leaveExecutions(follower);
    }
    this.approvals.add(follower);
    return () => this.leaveApprovals(follower);
  }

  wake(streamIds: readonly string[]): void {
    if (this.isClosed || (this.executions.size === 0 && this.approvals.size === 0)) return;
    for (const id of streamIds) this.woken.add(id);
    if (this.woken.size > 0) this.timer ??= setTimeout(() => this.lookSoon(false), this.options.collectMs ?? COLLECT_MS);
  }

  sweep(): void {
    if (!this.isClosed && (this.executions.size > 0 || this.approvals.size > 0)) this.lookSoon(true);
  }

  close(): void {
    this.isClosed = true;
    clearTimeout(this.timer);
    this.executions.clear();
    this.approvals.clear();
  }

  /** One look at a time. */
  private lookSoon(atEverything: boolean): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    const woken = [...this.woken];
    this.woken.clear();
    this.looking = this.looking
      .then(() => this.look(woken, atEverything))
      .catch((error: unknown) => {
        for (const id of woken) this.woken.add(id);
        this.options.onError(error);
      });
  }

  private async look(woken: readonly string[], atEverything: boolean): Promise<void> {
    if (this.executions.size > 0) await this.lookAtExecutions(woken, atEverything);
    if (this.approvals.size > 0) await this.lookAtGates(woken, atEverything);
  }

  private get ownerIds(): string[] {
    return [...new Set([...this.executions].map((follower) => follower.ownerId))];
  }

  private async lookAtExecutions(woken: readonly string[], atEverything: boolean): Promise<void> {
    const ids = new Set(woken.filter((id) => id.startsWith('exe_')));
    if (atEverything) for (const id of await this.changedExecutions()) ids.add(id);
    if (ids.size === 0) return;
    const rows = await executionsById(this.options.db, [...ids], this.ownerIds);
    const executions = await shownExecutions(
      this.options.db,
      rows.map(({ execution }) => execution),
    );
    executions.forEach((execution, index) => this.tellExecution(rows[index]?.mark ?? '', execution));
  }

  private async changedExecutions(): Promise<string[]> {
    const open = [...this.executionsSeen].filter(([, { status }]) => !ENDED.has(status)).map(([id]) => id);
    const marks = await executionMarks(this.options.db, this.ownerIds, open);
    return marks.filter(({ id, mark }) => this.executionsSeen.get(id)?.mark !== mark).map(({ id }) => id);
  }

  private tellExecution(mark: string, execution: ExecutionRecord): void {
    const seen = this.executionsSeen.get(execution.id);
    if (seen?.mark === mark) return;
    remember(this.executionsSeen, execution.id, { mark, status: execution.status });
    const change = executionChange(seen?.status, toWireExecution(execution), execution.updatedAt);
    for (const follower of this.executions) if (follower.ownerId === execution.ownerId) follower.change(change);
  }

  private async lookAtGates(woken: readonly string[], atEverything: boolean): Promise<void> {
    const gates = woken.length === 0 ? [] : await gatesByStream(this.options.db, woken);
    if (atEverything) gates.push(...(await gatesById(this.options.db, await this.changedGates())));
    for (const gate of gates) await this.tellGate(gate);
  }

  private async changedGates(): Promise<string[]> {
    const pending = [...this.gatesSeen].filter(([, { gate }]) => gate.status === 'pending').map(([id]) => id);
    const marks = await gateMarks(this.options.db, pending);
    return marks.filter(({ id, mark }) => this.gatesSeen.get(id)?.mark !== mark).map(({ id }) => id);
  }

  private async tellGate(gate: GateRecord): Promise<void> {
    const mark = markOfGate(gate);
    const seen = this.gatesSeen.get(gate.id);
    if (seen?.mark === mark) return;
    const groups = (await getUser(this.options.db, gate.ownerId))?.groups ?? [];
    remember(this.gatesSeen, gate.id, { mark, gate });
    const change = gateChange(seen?.gate, gate, toWireApproval(gate));
    for (const follower of this.approvals) if (follower.maySee(gate, groups)) follower.change(change);
  }

  /** What is there is in the snapshot, and no change. */
  private async beginExecutions(ownerId: string): Promise<void> {
    if (this.owners.has(ownerId)) return;
    for (const { id, mark } of await executionMarks(this.options.db, [ownerId], []))
      remember(this.executionsSeen, id, { mark, status: mark.slice(0, mark.indexOf(' ')) });
    this.owners.add(ownerId);
  }

  private async beginApprovals(): Promise<void> {
    if (this.knowsGates) return;
    const marks = await gateMarks(this.options.db, []);
    const ids = marks.map(({ id }) => id);
    for (const gate of await gatesById(this.options.db, ids)) remember(this.gatesSeen, gate.id, { mark: markOfGate(gate), gate });
    this.knowsGates = true;
  }

  private leaveExecutions(follower: ExecutionsFollower): void {
    this.executions.delete(follower);
    if (this.executions.size > 0) return;
    this.executionsSeen.clear();
    this.owners.clear();
  }

  private leaveApprovals(follower: ApprovalsFollower): void {
    this.approvals.delete(follower);
    if (this.approvals.size > 0) return;
    this.gatesSeen.clear();
    this.knowsGates = false;
  }
}

const ENDED: ReadonlySet<string> = new Set(['completed', 'failed', 'cancelled']);

/** Newest last, and not without end: what was told long ago is forgotten first. */
function remember<T>(seen: Map<string, T>, id: string, value: T): void {
  seen.delete(id);
  seen.set(id, value);
  for (const oldest of seen.keys()) {
    if (seen.size <= MAX_MARKS) return;
    seen.delete(oldest);
  }
}
