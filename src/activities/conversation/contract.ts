/** The activities of conversations as their workflow sees them. Types only: imported by `src/workflows` as `import type`. */
import type { AgentOpened, AgentOrder, AgentToolEnd, AgentTurn } from '../../engine/agent/types.js';
import type { GateOutcome, StepError } from '../../engine/types.js';
import type { ApproveSignal } from '../contract.js';

/** Whose conversation: its session. */
export interface Chat {
  readonly ownerId: string;
  readonly sessionId: string;
}

/** A message that is being answered. */
export interface ChatReply extends Chat {
  readonly messageId: string;
  readonly thread: string;
}

/** The oldest message that nobody has answered. */
export interface NextMessage {
  readonly messageId: string;
  readonly seq: number;
  /** Of the command row that brought it: delivered once it is answered. */
  readonly commandId: string;
  readonly thread: string;
  readonly opened: AgentOpened;
}

type OrderOf<O extends AgentOrder['order']> = Omit<Extract<AgentOrder, { order: O }>, 'order'>;

/** Task queue `signalbox`. */
export interface ChatCoreActivities {
  /** Local. Marks commands delivered and answers with what is to be answered next; null: nothing. */
  chatNext(input: Chat & { readonly delivered: readonly string[] }): Promise<NextMessage | null>;
  chatTool(input: ChatReply & OrderOf<'tool'>): Promise<{ readonly end: AgentToolEnd }>;
  /** Opens the gate of a held call; answers with its row. */
  openChatGate(input: ChatReply & OrderOf<'open_gate'>): Promise<GateOutcome>;
  /** Tries pending → `to`; answers with the row as it then is. */
  closeChatGate(input: Chat & { readonly approvalId: string; readonly to: 'expired' | 'cancelled' }): Promise<GateOutcome>;
  /**
   * Local. The row of a gate after a signal: a pending one first tries the signal's own decision, where raw signals may decide. Null: this
   * session has no such gate.
   */
  readChatGate(input: Chat & { readonly approvalId: string; readonly signal?: ApproveSignal }): Promise<GateOutcome | null>;
  /** The reply is over without an end of its own: what is open of it is finalised, an error is shown. */
  chatClose(input: ChatReply & { readonly error: StepError | null }): Promise<void>;
}
/** Task queue `signalbox-agent`. */
export interface ChatAgentActivities {
  chatTurn(input: ChatReply & OrderOf<'turn'>): Promise<{ readonly turn: AgentTurn }>;
}
/** Task queue `signalbox-shell`. */
export type ChatShellActivities = Pick<ChatCoreActivities, 'chatTool'>;
