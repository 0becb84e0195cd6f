import type { Ref } from '../../definition/value.js';
import type { Json } from '../../definition/value.js';
import type { Database } from '../../store/database.js';
import { listSecretValues } from '../../store/secrets.js';
import { putValue } from '../../store/values.js';
import type { AgentParts } from '../agent/agent-parts.js';
import type { GateParts } from '../gate-activities.js';
import { createRedactor, type Redactor } from '../redaction.js';

/** What the activities of conversations work with. */
export interface ChatParts extends Omit<AgentParts, 'facts'> {
  /** 32 bytes: opens the owners' secrets, which nothing that is said may show. */
  readonly encryptionKey: Uint8Array;
  /** The built-in demo model answers: it is named in whatever it says. */
  readonly isDemoModel: boolean;
  readonly readSignalledGate: GateParts['readSignalledGate'];
}

/** What stands for an owner in a call: their secrets taken out, large values kept. */
export interface OwnerFacts {
  readonly redactor: Redactor;
  readonly putValue: (json: Json) => Promise<Ref>;
}

/** A conversation names no secrets, so all of its owner's are kept from it. */
export async function ownerFacts(
  { db, encryptionKey }: { readonly db: Database; readonly encryptionKey: Uint8Array },
  ownerId: string,
): Promise<OwnerFacts> {
  const redactor = createRedactor(await listSecretValues(db, encryptionKey, ownerId));
  return { redactor, putValue: (json) => putValue(db, ownerId, json) };
}
