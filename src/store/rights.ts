import type { Queryable } from './statement.js';
import { statement } from './statement.js';

/** The channel on which gateways tell each other that keys, people or logins have changed. */
export const RIGHTS_CHANNEL = 'signalbox_rights';
const NOTIFY = statement('notify_rights', `SELECT pg_notify('${RIGHTS_CHANNEL}', '')`);

/** Tells every gateway to look at the rights of what is open. Call it once the change is committed. */
export async function tellRightsChanged(db: Queryable): Promise<void> {
  // A hint: gateways look by themselves every two seconds, and what was changed stands.
  await db.rows(NOTIFY, []).catch(() => undefined);
}
