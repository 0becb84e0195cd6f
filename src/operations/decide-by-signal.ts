import { AppError } from '../errors.js';
import type { AuditedActor } from '../store/audit.js';
import type { GateRecord } from '../store/gate-record.js';
import { getGate } from '../store/gates.js';
import { toStorableText } from '../store/json-text.js';
import { findUser } from '../store/users.js';
import { castVote, type Voter } from './cast-vote.js';
import { auditRefusal, type Asked } from './decision-audit.js';
import type { OperationDeps } from './deps.js';
import { isAllowed, type Role } from './role-matrix.js';
import type { SignalledDecision } from './signalled-decision.js';

const OPERATOR: Voter = { userId: 'operator', name: 'Operator', email: '', groups: [], role: 'viewer', isOperator: true };

/**
 * A raw `approve` signal's own decision, tried on the row: the operator's vote, or of whoever `by` names (a user id or e-mail), who
 * must be allowed. May repeat. @returns why it did not count, if it did not
 */
export async function decideBySignal(
  deps: OperationDeps,
  executionId: string | null,
  signal: SignalledDecision,
): Promise<AppError | undefined> {
  if (signal.decision === undefined) return undefined;
  const asked = { id: signal.approvalId, decision: signal.decision, via: 'signal' } as const;
  const voter = signal.by === undefined ? OPERATOR : await voterNamed(deps, signal.by);
  if (voter === undefined) return await refuseUnknown(deps, asked, String(signal.by));
  const { reason, answer } = signal;
  const decided = await castVote(deps, {
    ...asked,
    ...(reason === undefined ? {} : { reason }),
    ...(answer === undefined ? {} : { answer }),
    voter,
    by: { actor: { id: voter.userId, name: voter.name, kind: 'signal' } },
    ...(executionId === null ? {} : { executionId }),
  });
  return decided.refusal;
}

/** Writes down that raw signals may not decide here, and that one tried. */
export async function refuseSignal(deps: Pick<OperationDeps, 'db'>, gate: GateRecord, signal: SignalledDecision): Promise<void> {
  if (signal.decision === undefined) return;
  const asked = { id: gate.id, decision: signal.decision, via: 'signal' } as const;
  await auditRefusal(deps, actorNamed(signal.by ?? OPERATOR.name), asked, { gate, refusal: { code: 'signal_decisions_off' } });
}

async function refuseUnknown(deps: OperationDeps, asked: Asked, by: string): Promise<AppError> {
  const refusal = new AppError('approver_not_allowed', `There is nobody called ${by} who may decide`, { approvalId: asked.id });
  await auditRefusal(deps, actorNamed(by), asked, { gate: await getGate(deps.db, asked.id), refusal });
  return refusal;
}

const actorNamed = (name: string): AuditedActor => ({ actor: { id: null, name: toStorableText(name.slice(0, 200)), kind: 'signal' } });

async function voterNamed(deps: OperationDeps, by: string): Promise<Voter | undefined> {
  const user = await findUser(deps.db, toStorableText(by));
  if (user === undefined || user.disabled) return undefined;
  if (!isAllowed({ role: user.role as Role, kind: 'person', scopes: null }, 'decide')) return undefined;
  return { userId: user.id, name: user.name, email: user.email, groups: user.groups, role: user.role as Role };
}
