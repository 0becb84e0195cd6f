/** What an agent step keeps on its frame. Plain JSON. */
import type { AgentState } from './types.js';

export interface AgentData {
  type: 'agent';
  agent: AgentState;
  /** What was said before it, and where. */
  readonly thread: string;
  readonly entries: readonly string[];
  readonly own: number;
  /** What is in flight, by what it is for: `open`, `turn`, `close`, `tool:<call id>`, `gate:<call id>`. */
  flights: Record<string, { readonly id: string; cancelSent: boolean }>;
  /** Timers of held calls, by call id; and when each is due, in ms. */
  holds: Record<string, string>;
  deadlines: Record<string, number>;
  waitsForBudget: boolean;
  /** The clock of the step stands, as all that is waited for is a person: what is left of its time, in ms. */
  leftMs: number | null;
  /** Its turns have been closed. */
  closed: boolean;
  /** How often the opening or closing of a gate got lost. */
  losses: number;
}
