import type { Json } from '../definition/value.js';

/** What an `approve` signal may say (api.md). Anyone who reaches Temporal may send one: nothing but its id is believed. */
export interface SignalledDecision {
  readonly approvalId: string;
  readonly decision?: 'approve' | 'deny';
  /** A user id or e-mail; absent: the operator. */
  readonly by?: string;
  readonly reason?: string;
  readonly answer?: Json;
}
