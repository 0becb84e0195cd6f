import type { Database } from '../store/database.js';
import { getKeyHolder, getKeyHolders, touchKey, type KeyHolder, type KeyRecord } from '../store/keys.js';
import type { Principal } from './principal.js';
import { covers, ROLES, type Action, type Role } from './role-matrix.js';

/** A key that opens something; its expiry is looked at on every request. */
export interface KnownKey {
  readonly principal: Principal;
  /** Null: never. */
  readonly expiresAtMs: number | null;
}

const TOUCHED_EVERY_MS = 60_000;

/** Who holds the key with this SHA-256 (hex); null when there is none, or its user is disabled. */
export async function findKey(db: Database, sha256: string): Promise<KnownKey | null> {
  const row = await db.with((prisma) => prisma.apiKey.findUnique({ where: { hash: sha256 }, select: { id: true } }));
  const holder = row === null ? undefined : await getKeyHolder(db, row.id);
  if (holder === undefined || holder.user.disabled) return null;
  const { key } = holder;
  await noteUse(db, key);
  return { principal: principalOf(holder), expiresAtMs: key.expiresAt === null ? null : Date.parse(key.expiresAt) };
}

/** Seldom enough to cost nothing: `lastUsedAt` is for people to read. */
export async function noteUse(db: Database, { id, lastUsedAt }: KeyRecord): Promise<void> {
  if (lastUsedAt === null || Date.parse(lastUsedAt) < Date.now() - TOUCHED_EVERY_MS) await touchKey(db, id, new Date());
}

/** A key's role never exceeds what its user's has become. Pure. */
export function principalOf({ key, user }: KeyHolder): Principal {
  return {
    userId: user.id,
    name: user.name,
    email: user.email,
    groups: user.groups,
    role: narrower(key.role as Role, user.role as Role),
    kind: key.kind,
    keyId: key.id,
    scopes: key.scopes as readonly Action[] | null,
  };
}

/** The key's role while the user's covers it; else the widest that both cover. Pure. */
function narrower(key: Role, user: Role): Role {
  if (covers(user, key)) return key;
  if (covers(key, user)) return user;
  return ROLES.toReversed().find((role) => covers(key, role) && covers(user, role)) ?? 'viewer';
}

/** Who holds these keys now, by the key's id: without those that were revoked, have expired or whose user is disabled. */
export async function findKeysById(db: Database, keyIds: readonly string[]): Promise<Map<string, Principal>> {
  const found = new Map<string, Principal>();
  for (const [keyId, holder] of await getKeyHolders(db, keyIds)) {
    const { expiresAt } = holder.key;
    const isExpired = expiresAt !== null && Date.parse(expiresAt) <= Date.now();
    if (!holder.user.disabled && !isExpired) found.set(keyId, principalOf(holder));
  }
  return found;
}
