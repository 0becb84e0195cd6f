import type { GateOutcome } from '../engine/types.js';
import { type AppError, hasCode } from '../errors.js';
import { toGateOutcome } from '../store/gate-record.js';
import { getGate, markGatesDelivered } from '../store/gates.js';
import { decideBySignal } from './decide-by-signal.js';
import type { OperationDeps } from './deps.js';
import type { SignalledDecision } from './signalled-decision.js';

/**
 * The row of a gate after an `approve` signal: what the workflow is fed, whatever the signal said. A pending row first tries the
 * signal's own decision, where raw signals may decide. A settled row is marked as known to its workflow. May repeat.
 * @returns null when this execution has no such gate
 */
export async function readSignalledGate(
  deps: OperationDeps & { readonly signalDecisions: boolean },
  executionId: string,
  signal: SignalledDecision,
): Promise<GateOutcome | null> {
  const known = await getGate(deps.db, signal.approvalId);
  if (known === undefined || known.executionId !== executionId) return null;
  let gate = known;
  if (known.status === 'pending' && checked(signal).decision !== undefined) {
    const refusal = deps.signalDecisions ? await tried(deps, executionId, checked(signal)) : undefined;
    deps.log.info(
      { executionId, approvalId: known.id, refused: deps.signalDecisions ? (refusal?.code ?? null) : 'signal_decisions_off' },
      'A raw signal asked for a decision',
    );
    gate = (await getGate(deps.db, signal.approvalId)) ?? known;
  }
  if (gate.status !== 'pending' && gate.deliveredAt === null) await markGatesDelivered(deps.db, [gate.id]);
  return toGateOutcome(gate);
}

/** A signal that cannot even be tried is nobody's vote: its workflow, which waits for this answer, must not be held up by it. */
async function tried(deps: OperationDeps, executionId: string, signal: SignalledDecision): Promise<AppError | undefined> {
  try {
    return await decideBySignal(deps, executionId, signal);
  } catch (error) {
    if (hasCode(error, 'unavailable')) throw error;
    deps.log.warn({ executionId, approvalId: signal.approvalId, error: String(error) }, 'A raw signal could not be tried');
    return undefined;
  }
}

/** Anyone may send a signal: what is not of its type counts as left out. Pure. */
function checked({ approvalId, decision, by, reason, answer }: SignalledDecision): SignalledDecision {
  return {
    approvalId,
    ...(decision === 'approve' || decision === 'deny' ? { decision } : {}),
    ...(typeof by === 'string' ? { by } : {}),
    ...(typeof reason === 'string' ? { reason } : {}),
    ...(answer === undefined ? {} : { answer }),
  };
}
