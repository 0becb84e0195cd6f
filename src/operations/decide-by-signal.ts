import { AppError } from '../errors.js';
import { getGate } from '../store/gates.js';
import { findUser } from '../store/users.js';
import { castVote, type Voter } from './cast-vote.js';
import { auditDecision } from './decision-audit.js';
import type { OperationDeps } from './deps.js';
import { isAllowed, type Role } from './role-matrix.js';
import type { SignalledDecision } from './signalled-decision.js';

const OPERATOR: Voter = { userId: 'operator', name: 'Operator', email: '', groups: [], role: 'viewer', isOperator: true };

/**
 * A raw `approve` signal's own decision, tried on the row: the operator's vote, or of whoever `by` names (a user id or e-mail), who
 * must be allowed. May repeat. @returns why it did not count, if it did not
 */
export async function decideBySignal(deps: OperationDeps, executionId: string, signal: SignalledDecision): Promise<AppError | undefined> {
  if (signal.decision === undefined) return undefined;
  const asked = { id: signal.approvalId, decision: signal.decision, via: 'signal' } as const;
  const voter = signal.by === undefined ? OPERATOR : await voterNamed(deps, signal.by);
  if (voter === undefined) {
    const gate = await getGate(deps.db, signal.approvalId);
    const refusal = new AppError('approver_not_allowed', `There is nobody called ${String(signal.by)} who may decide`, {
      approvalId: asked.id,
    });
    await auditDecision(
      deps,
      { id: null, name: String(signal.by).slice(0, 200), kind: 'signal' },
      asked,
      gate === undefined ? { refusal } : { gate, refusal },
    );
    return refusal;
  }
  const { reason, answer } = signal;
  const decided = await castVote(deps, {
    ...asked,
    ...(reason === undefined ? {} : { reason }),
    ...(answer === undefined ? {} : { answer }),
    voter,
    executionId,
  });
  await auditDecision(deps, { id: voter.userId, name: voter.name, kind: 'signal' }, asked, decided);
  return decided.refusal;
}

async function voterNamed(deps: OperationDeps, by: string): Promise<Voter | undefined> {
  const user = await findUser(deps.db, by);
  if (user === undefined || user.disabled) return undefined;
  if (!isAllowed({ role: user.role as Role, kind: 'person', scopes: null }, 'decide')) return undefined;
  return { userId: user.id, name: user.name, email: user.email, groups: user.groups, role: user.role as Role };
}
