import type { GateOutcome } from '../engine/types.js';
import { hasCode } from '../errors.js';
import { type GateRecord, toGateOutcome } from '../store/gate-record.js';
import { getGate, markGatesDelivered } from '../store/gates.js';
import { decideBySignal, refuseSignal } from './decide-by-signal.js';
import type { OperationDeps } from './deps.js';
import type { SignalledDecision } from './signalled-decision.js';

const MOST_REASON = 4_000;

/**
 * The row of a gate after an `approve` signal: what the workflow is fed, whatever the signal said. A pending row first tries the
 * signal's own decision, where raw signals may decide. A settled row is marked as known to its workflow. May repeat.
 * @param executionId null: a conversation's, which looks itself whether the gate is its own
 * @returns null when this execution has no such gate
 */
export async function readSignalledGate(
  deps: OperationDeps & { readonly signalDecisions: boolean },
  executionId: string | null,
  signal: SignalledDecision,
): Promise<GateOutcome | null> {
  const known = await getGate(deps.db, signal.approvalId);
  if (known === undefined || known.executionId !== executionId) return null;
  let gate = known;
  const asked = checked(signal);
  if (known.status === 'pending' && asked.decision !== undefined) {
    const refused = deps.signalDecisions ? await tried(deps, executionId, asked) : await refusedAsOff(deps, known, asked);
    deps.log.info({ executionId, approvalId: known.id, refused }, 'A raw signal asked for a decision');
    gate = (await getGate(deps.db, signal.approvalId)) ?? known;
  }
  if (gate.status !== 'pending' && gate.deliveredAt === null) await markGatesDelivered(deps.db, [gate.id]);
  return toGateOutcome(gate);
}

/**
 * A signal that cannot even be tried is nobody's vote: its workflow, which waits for this answer, must not be held up by it.
 * @returns the code of what refused it
 */
async function tried(deps: OperationDeps, executionId: string | null, signal: SignalledDecision): Promise<string | null> {
  try {
    return (await decideBySignal(deps, executionId, signal))?.code ?? null;
  } catch (error) {
    if (hasCode(error, 'unavailable')) throw error;
    deps.log.warn({ executionId, approvalId: signal.approvalId, error: String(error) }, 'A raw signal could not be tried');
    return 'internal_error';
  }
}

async function refusedAsOff(deps: OperationDeps, gate: GateRecord, signal: SignalledDecision): Promise<string> {
  await refuseSignal(deps, gate, signal);
  return 'signal_decisions_off';
}

/**
 * Anyone may send a signal: what is not of its type counts as left out, except who it is from. A name that is none is nobody's, not the
 * operator's. A reason is as long as elsewhere. Pure.
 */
function checked({ approvalId, decision, by, reason, answer }: SignalledDecision): SignalledDecision {
  return {
    approvalId,
    ...(decision === 'approve' || decision === 'deny' ? { decision } : {}),
    ...(by === undefined || by === null ? {} : { by: typeof by === 'string' ? by : (JSON.stringify(by) ?? '') }),
    ...(typeof reason === 'string' ? { reason: reason.slice(0, MOST_REASON) } : {}),
    ...(answer === undefined ? {} : { answer }),
  };
}
