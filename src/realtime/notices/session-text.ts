import type { GateRecord } from '../../store/gate-record.js';
import type { PostCause } from '../../store/gate-posts.js';

/** What a chat session reads of a gate. The card with its buttons stands beside it. Pure. */
export function sessionText(gate: GateRecord, cause: PostCause): string {
  const subject = gate.prompt ?? gate.toolCall?.summary ?? `step ${gate.stepId ?? ''}`;
  const until = gate.deadline === null ? '' : ` Until ${gate.deadline.slice(0, 16).replace('T', ' ')} UTC.`;
  return `${leadOf(gate, cause)}: ${subject}${until}`;
}

function leadOf(gate: GateRecord, cause: PostCause): string {
  switch (cause) {
    case 'reminded':
      return 'Reminder, an approval still waits';
    case 'escalated':
      return `Escalated to ${gate.escalatedTo.join(', ')}, an approval waits`;
    case 'required':
    case 'found':
      return 'Approval needed';
  }
}
