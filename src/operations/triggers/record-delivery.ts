/** What came of an arrival, written down. Doing so never breaks the dispatch: what cannot be written is logged. */
import type { JsonObject } from '../../definition/value.js';
import { addDelivery, type DeliveryOutcome } from '../../store/deliveries.js';
import { listSecretValues, openSecretsBeside, type SecretBeside } from '../../store/secrets.js';
import { secretsOf, type TriggerRecord } from '../../store/triggers.js';
import type { OperationDeps } from '../deps.js';
import { createRedactor } from '../redaction.js';

/** One arrival at a trigger. */
export interface Arrival {
  readonly trigger: TriggerRecord;
  readonly receivedAt: Date;
  readonly eventType: string | null;
  /** The sender's id, or the tick's nominal time; in place of one, our own. */
  readonly deliveryId: string | null;
  /** Undefined: it was refused before anything was read. */
  readonly payload: JsonObject | undefined;
  readonly isTest?: boolean;
  /** Of the trigger's owner, where they came along with it: then they are not read again. */
  readonly ownerSecrets?: readonly SecretBeside[];
  /** Whatever makes a repeat the same delivery. */
  readonly dedupKey?: string;
}
export interface Evaluation {
  readonly outcome: DeliveryOutcome;
  readonly reason: string | null;
  readonly executionId: string | null;
}

const MATCHED_CHARACTERS = 8_192;
const OTHER_CHARACTERS = 512;

export async function recordDelivery(deps: OperationDeps, arrival: Arrival, { outcome, reason, executionId }: Evaluation): Promise<void> {
  const { trigger, receivedAt, eventType, deliveryId, payload, isTest = false, dedupKey } = arrival;
  const latencyMs = Date.now() - receivedAt.getTime();
  // Whoever reads the log finds the execution by what its sender knows.
  deps.log.info({ triggerId: trigger.id, deliveryId, outcome, executionId, latencyMs }, 'A delivery was evaluated');
  try {
    const redact = await redactorOf(deps, arrival);
    await addDelivery(deps.db, {
      ownerId: trigger.ownerId,
      triggerId: trigger.id,
      outcome,
      reason: reason === null ? null : redact(reason),
      eventType,
      deliveryId,
      executionId,
      payloadPreview:
        payload === undefined ? null : redact(textOf(payload)).slice(0, outcome === 'matched' ? MATCHED_CHARACTERS : OTHER_CHARACTERS),
      latencyMs,
      test: isTest,
      receivedAt,
      ...(dedupKey === undefined ? {} : { dedupKey }),
    });
  } catch (error) {
    deps.log.warn(
      { triggerId: trigger.id, deliveryId, outcome, executionId, error: error instanceof Error ? error.message : String(error) },
      'A delivery could not be written down',
    );
  }
}

/** Nested too deeply to be written out: such a payload was refused. */
function textOf(payload: JsonObject): string {
  try {
    return JSON.stringify(payload);
  } catch {
    return '(nested too deeply)';
  }
}

/** Takes out the owner's secrets and the webhook's own. */
async function redactorOf({ db, encryptionKey }: OperationDeps, { trigger, ownerSecrets }: Arrival): Promise<(text: string) => string> {
  const own = secretsOf(encryptionKey, trigger).map((secret, index) => [index === 0 ? 'secret' : 'secretPrevious', secret] as const);
  const owners =
    ownerSecrets === undefined
      ? await listSecretValues(db, encryptionKey, trigger.ownerId)
      : openSecretsBeside(encryptionKey, trigger.ownerId, ownerSecrets);
  const redactor = createRedactor(new Map([...owners, ...own]));
  return (text) => redactor.text(text);
}
