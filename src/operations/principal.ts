/**
 * Who asks. Every operation takes one; the doors (HTTP, tools, Slack, signals) make it from what they authenticated.
 */
import type { Action, Role } from './role-matrix.js';

export interface Principal {
  readonly userId: string;
  /** Shown in votes and in the audit log. */
  readonly name: string;
  readonly email: string;
  readonly groups: readonly string[];
  readonly role: Role;
  /** An agent's key, a model's tool call, and every call over MCP are `agent`: they decide nothing. */
  readonly kind: 'person' | 'agent';
  /** The key that was shown, or that a browser logged in with; null behind a signal or a click in Slack. */
  readonly keyId: string | null;
  /** What the key is narrowed to; null: everything that its role may do. */
  readonly scopes: readonly Action[] | null;
  /** The call that is being answered, where there is one. */
  readonly requestId?: string;
}
