import { findKeyHolder, createKey, newKeySecret } from '../store/keys.js';
import type { Database } from '../store/database.js';
import { statement } from '../store/statement.js';
import { countUsers, createUser, findUser, type UserRecord } from '../store/users.js';

export interface Bootstrapped {
  /** The first key, where one was made now: it is shown once. */
  readonly secret: string | undefined;
  /** Whether it was given by the environment, so that it need not be shown. */
  readonly isGiven: boolean;
}

const ADMIN = { name: 'Admin', email: 'admin@localhost', role: 'admin' };
const LOCK = statement('lock_bootstrap', 'SELECT pg_advisory_xact_lock(7273, 0)::text');

/**
 * Makes the first admin (with the session of their agent) and their key, once for a deployment, however many processes start.
 * A key that the environment gives is made to work on every start; without one, one is generated when there is nobody yet.
 */
export async function bootstrap(db: Database, given: string | undefined): Promise<Bootstrapped> {
  // One process at a time: the others wait here, and find what it made.
  return db.transaction(async (tx) => {
    await tx.rows(LOCK, []);
    if (given !== undefined) {
      if ((await findKeyHolder(db, given)) !== undefined) return { secret: undefined, isGiven: true };
      await makeKey(db, await firstAdmin(db), given);
      return { secret: given, isGiven: true };
    }
    if ((await countUsers(db)) > 0) return { secret: undefined, isGiven: false };
    const secret = newKeySecret();
    await makeKey(db, await firstAdmin(db), secret);
    return { secret, isGiven: false };
  });
}

const firstAdmin = async (db: Database): Promise<UserRecord> => (await findUser(db, ADMIN.email)) ?? createUser(db, ADMIN);

async function makeKey(db: Database, user: UserRecord, secret: string): Promise<void> {
  await createKey(db, { userId: user.id, name: 'Bootstrap', kind: 'person', role: 'admin', secret });
}
