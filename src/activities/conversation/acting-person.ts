import { findKeysById } from '../../operations/authenticate-key.js';
import type { Capable, Role } from '../../operations/role-matrix.js';
import type { Database } from '../../store/database.js';
import { senderKeyOf } from '../../store/session-commands.js';
import { getUser } from '../../store/users.js';

/**
 * With whose rights a message is answered: those that its sender has now, by the key that it was sent with; what speaks for a person without
 * a key, such as a schedule, has that person's. Null: none any more.
 */
export async function actingPerson(
  db: Database,
  { ownerId, sessionId, messageId }: { readonly ownerId: string; readonly sessionId: string; readonly messageId: string },
): Promise<Capable | null> {
  const keyId = await senderKeyOf(db, sessionId, messageId);
  if (keyId !== null) return (await findKeysById(db, [keyId])).get(keyId) ?? null;
  const person = await getUser(db, ownerId);
  return person === undefined || person.disabled ? null : { role: person.role as Role, kind: 'agent', scopes: null };
}
