import { createHash } from 'node:crypto';
import type { IdempotencyKey } from '../../store/idempotency.js';
import type { TriggerRecord } from '../../store/triggers.js';

/** An index takes no more. */
const MAX_KEY = 255;

/** By what a repeat of a sender's delivery is told, whatever its body is. Pure. */
export const deliveryKeyOf = ({ id }: Pick<TriggerRecord, 'id'>, senders: string): IdempotencyKey => ({
  door: `trigger:${id}`,
  key: `delivery:${senders.length > MAX_KEY ? createHash('sha256').update(senders).digest('hex') : senders}`,
  bodyHash: '',
});
